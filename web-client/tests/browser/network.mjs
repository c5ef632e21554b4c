/**
 * Networks that do not work as they should, and what the page does then.
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

  // Still blocked: the page falls back as far as before, and no further.
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
  // Without a connection, presence is unknown.
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
  test(`${transport.label}: a server that owes an answer for ten seconds is not called live`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.say("first");
    await bob.sees("first");
    stage.troubled = true;
    const relay = stage.relays[transport.server];
    relay.deaf = true;
    const began = Date.now();
    await ann.say("is anybody there?");
    await ann.page.locator(".badge.live").waitFor({ state: "detached" });
    const took = Date.now() - began;
    assert.ok(took > 2_000 && took < 25_000, `after ${took} ms; a stream's silence is noticed after 35 s`);
    // An overdue short poll is a lost connection. On the other transports, only the reply is overdue.
    if (transport.label !== "Short polling") {
      await ann.page.locator(".badge.unanswering", { hasText: "not answering" }).waitFor();
      await ann.banner("The server is not answering. What you write is kept and sent when it does.");
      await ann.page.getByRole("button", { name: "Try a new connection" }).waitFor();
    }
    relay.cut();
    relay.deaf = false;
    await label(ann, transport.label);
    for (const one of [ann, bob]) {
      await one.sees("is anybody there?");
      assert.deepEqual(await one.texts(), ["first", "is anybody there?"]);
    }
    await ann.page.locator(".banner", { hasText: "not answering" }).waitFor({ state: "detached" });
  });
}

/** Refuses a page's commands in place of the server, while `refusal` gives a code. Returns all commands, in order. */
async function standInFor({ page }, refusal) {
  const commands = [];
  await page.route("**/api/commands", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const { request_id, command } = route.request().postDataJSON();
    commands.push(command);
    const code = refusal(command, commands.length);
    if (!code) return route.continue();
    const headers = {
      "access-control-allow-origin": stage.base,
      "access-control-allow-credentials": "true",
      "content-type": "application/json",
    };
    const body = { type: "reply", request_id, refusal: { code, message: `the words of ${code}`, retry_after_ms: null } };
    await route.fulfill({ status: 503, headers, body: JSON.stringify(body) });
  });
  return commands;
}

test("where the storage is unavailable, the same message is sent again, and the same group is made", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[1]);
  await bob.say("first");
  await ann.sees("first");
  stage.troubled = true;
  let refused = 0;
  const commands = await standInFor(ann, ({ type }) => {
    if ((type !== "send" && type !== "create_group") || refused === 2) return null;
    refused += 1;
    return "storage_unavailable";
  });
  await ann.say("kept");
  await bob.sees("kept");
  await ann.sees("kept");
  const cids = (type) => commands.filter((command) => command.type === type).map(({ cid }) => cid);
  assert.equal(cids("send").length, 3);
  assert.equal(new Set(cids("send")).size, 1);

  // The page's own attempts are all refused, and the user sees it. The user's next attempt makes the same group.
  refused = -1;
  await ann.page.getByRole("button", { name: "New group" }).click();
  await ann.page.getByLabel("Name of the group").fill(`of ${ann.name}`);
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("alert").filter({ hasText: "The words of storage_unavailable." }).waitFor();
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("heading", { level: 2, name: `of ${ann.name}` }).waitFor();
  assert.equal(cids("create_group").length, 4);
  assert.equal(new Set(cids("create_group")).size, 1);
});

test("where the storage is damaged, nothing is sent again, and the page says what it means", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[1]);
  await bob.say("first");
  await ann.sees("first");
  stage.troubled = true;
  let isDamaged = true;
  const commands = await standInFor(ann, ({ type }) => (isDamaged && type === "send" ? "storage_damaged" : null));
  await ann.say("not taken");
  await ann.page.locator(".decision .error", { hasText: "The server's database is damaged." }).waitFor();
  const sends = () => commands.filter(({ type }) => type === "send");
  assert.equal(sends().length, 1, "only when its writer asks");
  const again = ann.page.waitForRequest((request) => request.postData()?.includes('"send"') ?? false);
  await ann.page.getByRole("button", { name: "Retry" }).click();
  await again;
  await ann.page.locator(".decision .error", { hasText: "The server's database is damaged." }).waitFor();
  isDamaged = false;
  await ann.page.getByRole("button", { name: "Retry" }).click();
  await bob.sees("not taken");
  assert.equal(new Set(sends().map(({ cid }) => cid)).size, 1);
  await ann.sees("not taken");

  // The page does not keep asking for history that cannot be read.
  let asked = 0;
  await ann.page.route("**/api/conversations/**", (route) => {
    asked += 1;
    const body = { type: "about:blank", title: "", status: 503, detail: "", code: "storage_damaged", retry_after_ms: null };
    return route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(body) });
  });
  await ann.page.reload();
  await ann.page.locator(".notice", { hasText: "The server's database is damaged" }).waitFor();
  await bob.say("live all the same");
  await ann.sees("live all the same");
  assert.equal(asked, 1);
  await ann.page.route("**/api/snapshot", (route) => {
    const body = { type: "about:blank", title: "", status: 503, detail: "", code: "storage_damaged", retry_after_ms: null };
    return route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(body) });
  });
  await ann.page.reload();
  await ann.banner("The server's database is damaged.");
  await ann.page.locator(".badge.ended").waitFor();
});

for (const transport of TRANSPORTS) {
  test(`the wire drawer shows what passes over ${transport.label}`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.page.locator("#composer:focus").waitFor();
    await ann.page.keyboard.press("Control+`");
    const drawer = ann.page.getByRole("region", { name: "Wire", exact: true });
    await drawer.waitFor();
    // A user who is writing keeps the focus.
    await ann.page.locator("#composer:focus").waitFor();
    const rows = (text) => drawer.locator("tbody tr").filter({ hasText: text });
    await bob.say("over the wire");
    await ann.sees("over the wire");
    await rows("over the wire").filter({ hasText: "received" }).first().waitFor();
    await ann.say("and back");
    await rows("and back").filter({ hasText: "sent" }).first().waitFor();
    await rows('"type":"reply"').first().waitFor();
    if (transport.label !== "WebSocket") await rows("answer 200").filter({ hasText: "ms" }).first().waitFor();
    assert.equal(await drawer.getByText("password").count(), 0);
    // A script sees only a part of the bytes, so nothing here says what a message costs.
    assert.doesNotMatch(await drawer.innerText(), /\d k?B\b/);
    assert.match(await ann.page.locator(".badge").innerText(), new RegExp(`^${transport.label}\\s*· live$`));
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
