/**
 * Every page and state in four sizes and both themes: what axe finds, what is too wide, and what is loaded.
 *
 * `SCREENSHOTS` names a directory for pictures of all of them.
 */

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import test, { after, afterEach, before } from "node:test";

import axe from "axe-core";

import { SCHEMES, SIZES, Stage, TRANSPORTS } from "./stage.mjs";

const { LONG, SCREENSHOTS } = process.env;
/** The limit on everything that is loaded until the page can be used, in bytes: files and answers, not compressed. */
const FIRST_LOAD_BYTES = 152_000;

/** @type {Stage} */
let stage;

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  stage = await Stage.set();
});
after(() => stage?.close());
afterEach(() => stage.clear());

/** The widths and themes that axe looks at, unless `LONG=1` has it look at all. */
const AUDITED = ["360 light", "1440 dark"];

/** Looks at a state in every size and theme. */
async function look({ page }, name) {
  const size = page.viewportSize();
  const found = [];
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const { width, height } of SIZES) {
      await page.setViewportSize({ width, height });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      if (SCREENSHOTS) {
        await page.screenshot({ path: `${SCREENSHOTS}/${name}-${width}-${colorScheme}.png`, animations: "disabled" });
      }
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      const isAudited = LONG || AUDITED.includes(`${width} ${colorScheme}`);
      const { violations } = isAudited ? await page.evaluate(() => globalThis.axe.run()) : { violations: [] };
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

/** A person whose pages carry axe, which is added in a way that the page's policy does not forbid. */
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

  const { me } = await ann.get("/api/snapshot");
  const lines = Array.from({ length: 40 }, (_, index) => `Line ${index} of what Bob has to say.`);
  await bob.sayAll({ user: me.id }, lines);
  await ann.sees(lines.at(-1));
  await ann.page.locator("#messages").evaluate((list) => (list.scrollTop = list.scrollHeight));
  await ann.page.locator(".sidebar .unread").waitFor({ state: "detached" });
  await ann.page.locator("#messages").evaluate((list) => (list.scrollTop = list.scrollHeight / 2));
  await bob.say("And one more.");
  await ann.page.getByRole("button", { name: "↓ 1 new" }).waitFor();
  await look(ann, "reading");
  await ann.page.getByRole("button", { name: "↓ 1 new" }).click();
  await ann.sees("And one more.");

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
  await bob.say("Ann is not here.");
  await bob.sees("Ann is not here.");
  await ann.page.getByRole("button", { name: "Join again" }).click();
  await ann.page.locator(".gap", { hasText: "1 message was sent while you were not in the group." }).waitFor();
  await bob.say("Ann is back.");
  await ann.sees("Ann is back.");
  await look(ann, "rejoined");
});

test("at 400 % zoom there is room to read, and everything else can be reached", async () => {
  const zoomed = { viewport: { width: 320, height: 200 } };
  const ann = await stage.member("Ann", TRANSPORTS[0], zoomed);
  const bob = await stage.member("Bob");
  await ann.open(bob.name);
  for (const text of ["Hello.", "And a second one.", "And a third, which is a little longer than one line."]) {
    await ann.say(text);
    await ann.sees(text);
  }
  await ann.page.locator("#composer:focus").waitFor();
  // There is room to read, and the field is in sight: a banner may move the field, and the next key brings it back.
  const fits = (least) => {
    const [list, field] = ["messages", "composer"].map((id) => document.getElementById(id).getBoundingClientRect());
    return Math.min(list.bottom, innerHeight) - Math.max(list.top, 0) >= least && field.bottom <= innerHeight;
  };
  const began = Date.now();
  await ann.page.keyboard.type("a");
  while (!(await ann.page.evaluate(fits, 100))) {
    assert.ok(Date.now() - began < 30_000, "there is no room to read in, or what one writes is out of sight");
    // One letter, again and again: more of them would make the field grow.
    await ann.page.keyboard.press("Backspace");
    await ann.page.keyboard.type("a");
  }
  for (const name of ["Sign out", "How messages travel"]) {
    const button = name === "Sign out" ? ann.page.getByRole("button", { name }) : ann.page.locator(".badge");
    await button.scrollIntoViewIfNeeded();
    assert.ok(await button.isVisible(), name);
  }
  await ann.page.locator(".badge").click();
  await ann.page.getByRole("radio", { name: "Short polling" }).check();
  await ann.page.keyboard.press("Escape");
  await ann.page.locator(".badge.live .label").getByText("Short polling").waitFor();
});

test("the font size that the user has chosen counts", async () => {
  const ann = await stage.member("Ann");
  const bob = await stage.member("Bob");
  await ann.open(bob.name);
  await ann.say("How large is this?");
  await ann.sees("How large is this?");
  const size = () => ann.row("How large is this?").evaluate((one) => Number.parseFloat(getComputedStyle(one).fontSize));
  assert.equal(await size(), 15);
  const session = await ann.context.newCDPSession(ann.page);
  await session.send("Page.setFontSizes", { fontSizes: { standard: 32 } });
  assert.equal(await size(), 30);
  const overflow = await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(overflow, 0, "nothing hangs over");
  if (SCREENSHOTS) await ann.page.screenshot({ path: `${SCREENSHOTS}/large-font.png` });
});

test("names as long as they may be", async () => {
  const ann = await observedMember(`Ann ${"W".repeat(24)}`);
  const bob = await stage.member("Bob who has a longish name");
  await ann.page.getByRole("button", { name: "New group" }).click();
  await ann.page.getByLabel("Name of the group").fill("wires, sockets, streams and more");
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("heading", { level: 2, name: "wires, sockets" }).waitFor();
  await look(ann, "long-group");
  await ann.open(bob.name);
  await look(ann, "long-names");
  await ann.page.goto(`${stage.base}/#/`);
  await look(ann, "long-lists");
  const names = ann.page.locator(".sidebar .name, .me .name");
  const heights = await names.evaluateAll((all) => all.map((one) => one.offsetHeight / Number.parseFloat(getComputedStyle(one).fontSize)));
  assert.ok(heights.every((lines) => lines < 2), `each on one line: ${heights}`);
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

/** Opens a person's page in a new tab, and counts the bytes that come until it is ready, and those that it loads when
 * the browser has time.
 * @param {import("./stage.mjs").Person} person
 * @param {() => Promise<unknown>} ready */
async function weigh(person, ready) {
  const url = person.page.url();
  await person.page.close();
  person.page = await person.context.newPage();
  person.watch(person.page);
  // For the page, the browser has no time yet, and the clock stands still: after a second without a connection,
  // the page would load the banner that explains it.
  await person.page.addInitScript(() => {
    const now = Date.now();
    Date.now = () => now;
    globalThis.requestIdleCallback = (run) => (globalThis.haveTime = run);
  });
  const session = await person.context.newCDPSession(person.page);
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  const came = [];
  person.page.on("requestfinished", (request) => came.push(request));
  await person.page.goto(url);
  await ready();
  const weight = async () => {
    const bodies = await Promise.all(came.map(async (request) => (await request.response()).body()));
    return bodies.reduce((sum, { length }) => sum + length, 0);
  };
  const first = await weight();
  const paths = came.map((request) => new URL(request.url()).pathname);
  assert.ok(["/", "/app.js", "/style.css", "/api/transports"].every((path) => paths.includes(path)), paths.join(" "));
  const more = await person.page.evaluate(() => (globalThis.haveTime ? (globalThis.haveTime(), true) : false));
  if (more) await person.page.evaluate(hasDeferred);
  return { first, paths, late: more ? (await weight()) - first : 0 };
}

/** Runs in the page, and resolves when everything late has been loaded. */
function hasDeferred() {
  const views = [
    ...["alone", "banner", "below", "between", "close-codes", "decision", "help", "late", "membership", "menu", "new-group"],
    ...["sign-in", "styled", "wire"],
  ];
  const transports = ["commands", "polling", "sse", "websocket"];
  const late = [
    ...["announcer.js", "between.js", "sign-in.js", "far.js", "focus.js", "later.js", "reading.js", "groups.js"],
    ...["keys.js", "ladder.js", "late.css", "sign-in.css"],
    ...views.map((name) => `views/${name}.js`),
    ...transports.map((name) => `transports/${name}.js`),
  ];
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const look = () => {
      const there = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname.slice(1));
      const missing = late.filter((path) => !there.includes(path));
      if (missing.length === 0) resolve();
      else if (performance.now() - began > 30_000) reject(new Error(`not loaded: ${missing.join(" ")}`));
      else setTimeout(look, 20);
    };
    look();
  });
}

test("the first load stays small, for a visitor and for somebody in a chat over each transport", async () => {
  const visitor = await stage.person("Visitor");
  const weights = new Map();
  weights.set("a visitor", await weigh(visitor, () => visitor.page.getByLabel("Password").waitFor()));
  for (const transport of TRANSPORTS) {
    const [ann, bob] = await stage.pair(transport);
    for (const text of ["Hello.", "And a second one.", "And a third."]) {
      await bob.say(text);
      await ann.sees(text);
    }
    const ready = () => Promise.all([ann.sees("And a third."), ann.page.locator(".badge.live").waitFor()]);
    weights.set(transport.label, await weigh(ann, ready));
  }
  for (const [who, { first, paths, late }] of weights) {
    if (process.env.FIGURES) console.log(`first load, ${who}: ${first} bytes, and ${late} when there is time`);
    assert.ok(first < FIRST_LOAD_BYTES, `${who}: ${first} bytes for ${paths.join(" ")}`);
  }
});

test("what comes late is there before the server goes", async () => {
  const ann = await stage.member("Ann");
  await ann.page.evaluate(hasDeferred);
  await stage.killServer();
  await ann.banner(/Connection lost\. |Nothing answers at /);
  await ann.page.keyboard.press("?");
  await ann.page.getByRole("dialog", { name: "Keys and words" }).waitFor();
  await ann.page.keyboard.press("Escape");
  await ann.page.keyboard.press("Control+`");
  await ann.page.getByRole("region", { name: "Wire", exact: true }).waitFor();
  await ann.page.locator(".badge").click();
  await ann.page.getByRole("radio", { name: "Long polling" }).check();
  await ann.page.locator(".drawer tr", { hasText: "no answer to a poll" }).first().waitFor();
});
