/**
 * Two people meet in two browsers and talk over every transport.
 *
 * `node tests/browser/first-talk.mjs http://127.0.0.1:4000` with the address of a running launcher, or `BASE_URL`.
 * `CHROMIUM` names the browser; `SCREENSHOTS` a directory for pictures at three widths in both themes.
 */

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import test, { after, before } from "node:test";

import { chromium } from "playwright-core";

const BASE = process.argv[2] ?? process.env.BASE_URL ?? "http://127.0.0.1:4000";
const SCREENSHOTS = process.env.SCREENSHOTS;
const TRANSPORTS = ["WebSocket", "SSE", "Long polling", "Short polling"];
/** Names are taken for ever, and this file may run twice against one database. */
const RUN = Date.now().toString(36);
const WIDTHS = [360, 768, 1440];
const PASSWORD = "correct horse";

/** @type {import("playwright-core").Browser} */
let browser;
let ann;
let bob;
/** What must not happen, with the name of whom it happened to. */
const complaints = [];

/** Somebody with a browser of their own. */
async function person(name) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("console", (entry) => entry.type() === "error" && complaints.push(`${name} console: ${entry.text()}`));
  page.on("pageerror", (error) => complaints.push(`${name} error: ${error.stack}`));
  const host = new URL(BASE).hostname;
  context.on("request", (request) => {
    if (new URL(request.url()).hostname !== host) complaints.push(`${name} asked ${request.url()}`);
  });
  await page.goto(BASE);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  return { name: `${name}-${RUN}`, page };
}

async function register({ name, page }) {
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.locator(".badge.live").waitFor();
}

async function use({ page }, label) {
  await page.locator(".badge").click();
  await page.getByRole("radio", { name: label === "SSE" ? "Server-Sent Events" : label }).check();
  await page.keyboard.press("Escape");
  await page.locator(".badge.live .label", { hasText: label }).waitFor();
}

async function open({ page }, name) {
  await page.locator(".sidebar").getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 2, name }).waitFor();
}

async function say({ page }, text) {
  await page.locator("#composer").fill(text);
  await page.locator("#composer").press("Enter");
}

/** The message, stored, once. */
async function sees({ page }, text) {
  const rows = page.locator(".message:not(.unsent) .text").getByText(text, { exact: true });
  await rows.first().waitFor();
  assert.equal(await rows.count(), 1, `"${text}" stands once`);
}

const texts = ({ page }) => page.locator(".message:not(.unsent) .text").allTextContents();

async function picture({ page }, name) {
  if (!SCREENSHOTS) return;
  const size = page.viewportSize();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width < 500 ? 740 : 900 });
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      await page.screenshot({ path: `${SCREENSHOTS}/${name}-${width}-${colorScheme}.png`, animations: "disabled" });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(size);
}

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  [ann, bob] = [await person("Ann"), await person("Bob")];
});

after(() => browser?.close());

test("two people make accounts and see each other", async () => {
  await picture(ann, "sign-in");
  await register(ann);
  await picture(ann, "alone");
  await register(bob);
  await open(ann, bob.name);
  await ann.page.locator(".head .presence.online").waitFor();
  await picture(ann, "beginning");
});

for (const label of TRANSPORTS) {
  test(`they talk in both directions over ${label}`, async () => {
    await use(ann, label);
    await use(bob, label);
    await open(ann, bob.name);
    await open(bob, ann.name);
    const question = `Is ${label} there?`;
    await say(ann, question);
    for (const one of [ann, bob]) await sees(one, question);
    const answer = `${label} is.\nTwo lines, 🙂, and <b>no markup</b>.`;
    await say(bob, answer);
    for (const one of [ann, bob]) await sees(one, answer);
    assert.deepEqual(await texts(ann), await texts(bob));
  });
}

test("each on another transport, they talk in a group that one makes and the other joins and leaves", async () => {
  const group = `wires-${RUN}`;
  await use(ann, "Long polling");
  await use(bob, "SSE");
  await ann.page.getByRole("button", { name: "New group" }).click();
  await ann.page.getByLabel("Name of the group").fill(group);
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("heading", { level: 2, name: group }).waitFor();
  await say(ann, "before Bob came");
  await sees(ann, "before Bob came");

  await bob.page.getByRole("button", { name: `Join ${group}` }).click();
  await bob.page.getByRole("heading", { level: 2, name: group }).waitFor();
  await ann.page.locator(".head", { hasText: "2 members" }).waitFor();
  await bob.page.locator(".head", { hasText: "2 members" }).waitFor();
  await say(bob, "hello group");
  await say(ann, "hello Bob");
  for (const one of [ann, bob]) for (const text of ["hello group", "hello Bob"]) await sees(one, text);
  assert.deepEqual(await texts(bob), ["hello group", "hello Bob"]);
  await picture(ann, "group");

  await bob.page.getByRole("button", { name: `Leave ${group}` }).click();
  await bob.page.getByRole("button", { name: "Leave", exact: true }).click();
  await bob.page.getByRole("button", { name: "Join again" }).waitFor();
  await ann.page.locator(".head", { hasText: "1 member:" }).waitFor();
  await say(ann, "after Bob left");
  await sees(ann, "after Bob left");
  assert.deepEqual(await texts(bob), ["hello group", "hello Bob"]);
  await picture(bob, "left");
});

test("a transport can be exchanged in mid-conversation, and nothing is lost or doubled", async () => {
  await open(ann, bob.name);
  await open(bob, ann.name);
  const said = [];
  for (const label of [...TRANSPORTS, TRANSPORTS[0]]) {
    for (const [one, who] of [
      [ann, "Ann"],
      [bob, "Bob"],
    ]) {
      for (let turn = 0; turn < 3; turn += 1) {
        const text = `${who} ${said.length}`;
        said.push(text);
        await say(one, text);
      }
      // The last of them may still be on its way.
      await use(one, label);
    }
  }
  for (const one of [ann, bob]) for (const text of said) await sees(one, text);
  assert.deepEqual(await texts(ann), await texts(bob));
  for (const who of ["Ann", "Bob"]) {
    const own = (await texts(bob)).filter((text) => said.includes(text) && text.startsWith(who));
    assert.deepEqual(
      own,
      said.filter((text) => text.startsWith(who)),
      `${who}'s messages are in the order of writing`,
    );
  }
});

test("what is unread is counted, and read marks travel", async () => {
  await bob.page.goto(`${BASE}/#/`);
  await say(ann, "one for later");
  await say(ann, "two for later");
  await bob.page.locator(".sidebar .unread", { hasText: "2" }).waitFor();
  await bob.page.waitForURL(/#\/$/);
  assert.match(await bob.page.title(), /^\(2\) /);
  await picture(bob, "unread");
  await open(bob, ann.name);
  await bob.page.locator(".divider").waitFor();
  await bob.page.locator(".sidebar .unread").waitFor({ state: "detached" });
  await picture(bob, "divider");
});

test("the page finds everything again after a reload", async () => {
  const known = await texts(bob);
  await bob.page.reload();
  await bob.page.locator(".badge.live").waitFor();
  await sees(bob, "two for later");
  assert.deepEqual((await texts(bob)).slice(-10), known.slice(-10));
});

test("a typing notice is shown to the other", async () => {
  await ann.page.locator("#composer").pressSequentially("thinking");
  await bob.page.locator(".typing", { hasText: `${ann.name} is typing` }).waitFor();
  await picture(bob, "typing");
});

test("the pictures show the open transport menu", { skip: !SCREENSHOTS }, async () => {
  await ann.page.locator(".badge").click();
  await picture(ann, "transports");
  await ann.page.keyboard.press("Escape");
});

test("who signs out is signed out", async () => {
  await bob.page.getByRole("button", { name: "Sign out" }).click();
  await bob.page.getByRole("heading", { name: "Sign in" }).waitFor();
});

test("no console error, no policy violation, no request to another host", () => {
  assert.deepEqual(complaints, []);
});
