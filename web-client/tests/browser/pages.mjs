/**
 * Every page and state at three widths in both themes: what axe finds, what hangs over, and what loads.
 *
 * `SCREENSHOTS` names a directory for pictures of all of them.
 */

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import test, { after, afterEach, before } from "node:test";

import axe from "axe-core";

import { SCHEMES, Stage, TRANSPORTS, WIDTHS } from "./stage.mjs";

const { SCREENSHOTS } = process.env;
/** Everything that comes with the first load, in bytes: the files as they are, not compressed. */
const FIRST_LOAD_BYTES = 150_000;

/** @type {Stage} */
let stage;

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  stage = await Stage.set();
});
after(() => stage?.close());
afterEach(() => stage.clear());

/** Looks at a state in every size and theme. */
async function look({ page }, name) {
  const size = page.viewportSize();
  const found = [];
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width < 500 ? 740 : 900 });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      if (SCREENSHOTS) {
        await page.screenshot({ path: `${SCREENSHOTS}/${name}-${width}-${colorScheme}.png`, animations: "disabled" });
      }
      const { violations, overflow } = await page.evaluate(async () => ({
        violations: (await globalThis.axe.run()).violations,
        overflow: document.documentElement.scrollWidth - innerWidth,
      }));
      for (const { id, nodes } of violations) {
        for (const { html, failureSummary } of nodes) {
          found.push(`${name} ${width} ${colorScheme}: ${id}: ${html.slice(0, 200)} ${failureSummary}`);
        }
      }
      if (overflow > 0) found.push(`${name} ${width} ${colorScheme}: ${overflow} px too wide`);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(size);
  assert.deepEqual(found, []);
}

/** Somebody whose pages carry axe; it comes the way that a policy does not forbid. */
async function observed(name) {
  const person = await stage.person(name);
  await person.context.addInitScript({ content: axe.source });
  await person.page.reload();
  return person;
}

async function observedMember(name) {
  const person = await observed(name);
  await person.register();
  return person;
}

test("signing in, with its errors", async () => {
  const ann = await observed("Ann");
  await ann.page.getByRole("heading", { name: "Sign in" }).waitFor();
  await look(ann, "sign-in");
  await ann.page.getByRole("button", { name: "Create an account" }).click();
  await ann.page.getByLabel("Name").fill("Ann");
  await ann.page.getByLabel("Password").fill("short");
  stage.troubled = true;
  await ann.page.getByRole("button", { name: "Create account" }).click();
  await ann.page.locator("#sign-in-password[aria-invalid=true]:focus").waitFor();
  await look(ann, "sign-in-error");
});

test("alone, the transport menu and the help", async () => {
  const ann = await observedMember("Ann");
  await ann.page.locator(".pane", { hasText: "Pick somebody" }).waitFor();
  await look(ann, "alone");
  await ann.page.locator(".badge").click();
  await look(ann, "transports");
  await ann.page.keyboard.press("Escape");
  await ann.page.keyboard.press("Escape");
  await ann.page.locator(".wordmark").first().click();
  await ann.page.keyboard.press("?");
  await ann.page.getByRole("dialog", { name: "Keys and words" }).waitFor();
  await look(ann, "help");
  await ann.page.keyboard.press("Escape");
  await ann.page.getByRole("dialog").waitFor({ state: "detached" });
});

test("a conversation: its beginning, typing, unread, the divider, a group and one that was left", async () => {
  const ann = await observedMember("Ann");
  const bob = await stage.member("Bob");
  await ann.open(bob.name);
  await look(ann, "beginning");
  await bob.open(ann.name);
  await bob.say("Hello! This page is fed by a WebSocket.");
  await ann.sees("Hello! This page is fed by a WebSocket.");
  await ann.say("And mine by the same one, until I choose another.");
  await bob.sees("And mine by the same one, until I choose another.");
  await bob.say("A longer one, with a word that does not end: " + "loooong".repeat(20) + "\n\nand a second paragraph. 🙂");
  await bob.say("مرحبا بالعالم");
  await ann.sees("مرحبا بالعالم");
  await bob.page.locator("#composer").pressSequentially("thinking");
  await ann.page.locator(".typing", { hasText: "is typing" }).waitFor();
  await look(ann, "conversation");
  await ann.page.goto(`${stage.base}/#/`);
  await bob.page.locator("#composer").fill("");
  await bob.say("Are you there?");
  await bob.say("I will wait.");
  await ann.page.locator(".sidebar .unread", { hasText: "2" }).waitFor();
  await look(ann, "unread");
  await ann.open(bob.name);
  await ann.page.locator(".divider").waitFor();
  await look(ann, "divider");

  await ann.page.getByRole("button", { name: "New group" }).click();
  await ann.page.getByLabel("Name of the group").fill("wires and sockets");
  await look(ann, "new-group");
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("heading", { level: 2, name: "wires and sockets" }).waitFor();
  await bob.page.getByRole("button", { name: "Join wires and sockets" }).click();
  await bob.page.getByRole("heading", { level: 2, name: "wires and sockets" }).waitFor();
  await bob.say("Hello group.");
  await ann.sees("Hello group.");
  await ann.say("Welcome.");
  await ann.page.getByRole("button", { name: "Leave wires and sockets" }).click();
  await look(ann, "leaving");
  await ann.page.getByRole("button", { name: "Leave", exact: true }).click();
  await ann.page.getByRole("button", { name: "Join again" }).waitFor();
  await look(ann, "left");
});

test("trouble: a failed message, a lost connection, offline, another transport, an ended sign-in", async () => {
  const ann = await observedMember("Ann");
  const bob = await stage.member("Bob");
  await ann.open(bob.name);
  await ann.say("This arrives.");
  await ann.sees("This arrives.");
  await ann.say("x".repeat(8_193));
  await ann.page.locator(".decision .error").waitFor();
  await look(ann, "failed");
  await ann.page.getByRole("button", { name: "Discard" }).click();
  stage.troubled = true;
  await ann.context.setOffline(true);
  await ann.banner("You are offline.");
  await ann.say("Written while offline.");
  await look(ann, "offline");
  await ann.context.setOffline(false);
  await ann.banner("Back online.");
  await look(ann, "back-online");
  stage.relays.websocket.mode = "upgrade";
  stage.relays.websocket.cut();
  await ann.banner("This network seems to block WebSocket.");
  await ann.live();
  await look(ann, "blocked");
  for (const relay of Object.values(stage.relays)) relay.block();
  await ann.banner("Nothing answers at");
  await look(ann, "lost");
  for (const relay of Object.values(stage.relays)) relay.mode = "pass";
  await ann.live();
  await ann.post("/api/logout");
  await ann.page.getByRole("button", { name: "Sign in again" }).waitFor();
  await look(ann, "expired");
});

test("the wire drawer", async () => {
  const ann = await observedMember("Ann");
  const bob = await stage.member("Bob");
  await ann.use(TRANSPORTS[2]);
  await ann.open(bob.name);
  await ann.page.keyboard.press("Control+`");
  await ann.page.locator(".drawer").waitFor();
  await ann.say("Watch this pass.");
  await ann.sees("Watch this pass.");
  await ann.page.locator(".drawer tr", { hasText: "Watch this pass" }).first().locator("summary").click();
  await look(ann, "wire");
});

test("the first load stays small, also for somebody with a conversation open", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await bob.say("hello");
  await ann.sees("hello");
  const files = new Map();
  const reading = [];
  ann.page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (!pathname.startsWith("/api/")) {
      reading.push(response.body().then((body) => files.set(pathname, body.length), () => {}));
    }
  });
  const session = await ann.context.newCDPSession(ann.page);
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  await ann.page.reload();
  await ann.sees("hello");
  await Promise.all(reading);
  const sum = [...files.values()].reduce((a, b) => a + b, 0);
  assert.ok(files.has("/") && files.has("/app.js") && files.has("/style.css"), [...files.keys()].join(" "));
  assert.ok(sum < FIRST_LOAD_BYTES, `${sum} bytes in ${files.size} files`);
  if (process.env.FIGURES) console.log(`first load: ${sum} bytes in ${files.size} files`);
});
