/**
 * Networks that do not do what they should, and what the page makes of them.
 */

import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";

import { Stage, TRANSPORTS } from "./stage.mjs";

/** @type {Stage} */
let stage;

before(async () => (stage = await Stage.set()));
after(() => stage?.close());
afterEach(() => stage.clear());

const label = ({ page }, text) => page.locator(".badge.live .label").getByText(text, { exact: true }).waitFor();

test("where WebSocket is blocked, the page goes on over Server-Sent Events, says so, and goes back on request", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("first");
  await bob.sees("first");
  stage.troubled = true;
  stage.relays.websocket.mode = "upgrade";
  stage.relays.websocket.cut();
  await ann.say("in between");
  await label(ann, "SSE");
  await ann.banner("This network seems to block WebSocket.");
  for (const name of ["Try WebSocket again", "Use long polling", "Use short polling", "Stay with SSE"]) {
    await ann.page.getByRole("button", { name }).waitFor();
  }
  for (const one of [ann, bob]) await one.sees("in between");
  assert.deepEqual(await ann.texts(), ["first", "in between"]);

  // Still blocked: it comes back to where it was, and no further.
  await ann.page.getByRole("button", { name: "Try WebSocket again" }).click();
  await ann.page.locator(".badge.connecting, .badge.waiting").first().waitFor();
  await label(ann, "SSE");
  stage.relays.websocket.mode = "pass";
  await ann.page.getByRole("button", { name: "Try WebSocket again" }).click();
  await label(ann, "WebSocket");
  await ann.page.locator(".banner").waitFor({ state: "detached" });
  await ann.say("last");
  await bob.sees("last");
});

test("a page that starts where WebSocket is blocked finds its way by itself", async () => {
  stage.troubled = true;
  stage.relays.websocket.mode = "upgrade";
  const ann = await stage.member("Ann");
  await label(ann, "SSE");
  await ann.page.reload();
  await label(ann, "SSE");
  await ann.banner("This network seems to block WebSocket.");
});

test("where one server is gone, its name and address are said, and another goes on", async () => {
  const ann = await stage.member("Ann");
  stage.troubled = true;
  stage.relays.websocket.block();
  await label(ann, "SSE");
  await ann.banner(`Nothing answers at ws-server (127.0.0.1:${stage.ports.websocket}). Start it again`);
});

test("where every wire is gone, the page stays with its own and waits longer each time", async () => {
  const ann = await stage.member("Ann");
  stage.troubled = true;
  for (const relay of Object.values(stage.relays)) relay.block();
  await ann.banner(`Nothing answers at ws-server (127.0.0.1:${stage.ports.websocket}). Start it again`);
  assert.equal(await ann.page.locator(".badge .label").textContent(), "WebSocket");
  for (const relay of Object.values(stage.relays)) relay.mode = "pass";
  await ann.page.getByRole("button", { name: "Try now" }).click();
  await label(ann, "WebSocket");
});

test("offline and online again, the page says how much it caught up on", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("first");
  await bob.sees("first");
  stage.troubled = true;
  await ann.context.setOffline(true);
  await ann.banner("You are offline.");
  // Nobody tells who comes and goes.
  for (const place of [".head", ".sidebar"]) await ann.page.locator(`${place} .presence.unknown`).first().waitFor();
  assert.equal(await ann.page.locator(".presence.online").count(), 0);
  for (const text of ["one", "two", "three"]) await bob.say(text);
  await bob.sees("three");
  await ann.say("kept");
  await ann.page.locator(".message.unsent", { hasText: "kept" }).waitFor();
  await ann.context.setOffline(false);
  await ann.banner("Back online. Caught up on 3 messages.");
  await ann.page.locator(".head .presence.online").waitFor();
  for (const one of [ann, bob]) await one.sees("kept");
  assert.deepEqual(await ann.texts(), await bob.texts());
});

test("a message that the server refuses says why, and can be retried or discarded, by keyboard too", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("x".repeat(8_193));
  await ann.page.locator(".decision .error").waitFor();
  assert.match(await ann.page.getByRole("alert").filter({ hasText: "Not sent." }).textContent(), /8192|8,192/);
  await ann.page.getByRole("button", { name: "Retry" }).click();
  await ann.page.locator(".decision .error").waitFor();
  await ann.page.locator("#composer:focus").waitFor();
  await ann.page.keyboard.press("Shift+Tab");
  await ann.page.getByRole("button", { name: "Discard" }).and(ann.page.locator(":focus")).waitFor();
  await ann.page.keyboard.press("Enter");
  await ann.page.locator(".message.unsent").waitFor({ state: "detached" });
  await ann.page.locator("#composer:focus").waitFor();
  await ann.say("shorter");
  await bob.sees("shorter");
});

test("a reader of many messages tells the server now and then how far they have come, and in the end all of it", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  const marks = [];
  ann.page.on("websocket", (socket) =>
    socket.on("framesent", ({ payload }) => String(payload).includes("mark_read") && marks.push(Date.now())),
  );
  await ann.page.reload();
  await ann.live();
  const { me } = await ann.get("/api/snapshot");
  const lines = Array.from({ length: 40 }, (_, index) => `line ${index}`);
  const began = Date.now();
  for (const text of lines) await bob.sayAll({ user: me.id }, [text]);
  await ann.sees(lines.at(-1));
  await ann.page.locator(".sidebar .unread").waitFor({ state: "detached" });
  const isRead = async () => (await ann.get("/api/snapshot")).conversations.every((one) => one.read_seq === lines.length);
  while (!(await isRead()));
  const most = (Date.now() - began) / 1_000 + 1;
  assert.ok(marks.length > 0 && marks.length <= most, `${marks.length} read marks, at most ${most} were due`);
});

for (const transport of TRANSPORTS) {
  test(`the wire drawer shows what passes over ${transport.label}`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.page.keyboard.press("Control+`");
    const drawer = ann.page.getByRole("region", { name: "Wire", exact: true });
    await drawer.waitFor();
    await ann.page.locator("#wire-close:focus").waitFor();
    const rows = (text) => drawer.locator("tbody tr").filter({ hasText: text });
    await bob.say("over the wire");
    await ann.sees("over the wire");
    await rows("over the wire").filter({ hasText: "received" }).first().waitFor();
    await ann.say("and back");
    await rows("and back").filter({ hasText: "sent" }).first().waitFor();
    await rows('"type":"reply"').first().waitFor();
    if (transport.label !== "WebSocket") await rows("answer 200").filter({ hasText: "ms" }).first().waitFor();
    assert.equal(await drawer.getByText("password").count(), 0);
    await rows("over the wire").first().locator("summary").click();
    await rows("over the wire").first().locator("pre").getByText('"text": "over the wire"').waitFor();
    await ann.page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    await ann.page.locator("#composer:focus").waitFor();
  });
}

test("the wire drawer names a close code in words", async () => {
  const ann = await stage.member("Ann");
  stage.troubled = true;
  await ann.page.keyboard.press("Control+`");
  stage.relays.websocket.cut();
  await ann.page.locator(".drawer .end", { hasText: "close 1006: The connection broke off without a goodbye" }).waitFor();
});
