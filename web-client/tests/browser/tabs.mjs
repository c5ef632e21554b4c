/**
 * One person, many tabs: one of them holds the connection for all, and they stay in step.
 */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import test, { after, afterEach, before } from "node:test";

import { Stage, TRANSPORTS } from "./stage.mjs";

/** @type {Stage} */
let stage;

before(async () => (stage = await Stage.set()));
after(() => stage?.close());
afterEach(() => stage.clear());

const SSE = TRANSPORTS[1];
/** A browser opens six connections to one server over HTTP/1.1. This is one more, and another one to be sure. */
const TABS = 8;

/** More tabs of the same person, each live. */
async function tabsOf(person, count) {
  const tabs = [person];
  while (tabs.length < count) {
    const page = await person.context.newPage();
    person.watch(page);
    await page.goto(person.page.url());
    tabs.push(person.in(page));
    await tabs.at(-1).live();
  }
  return tabs;
}

/** Makes a tab believe that it is hidden, or visible again. */
function hide({ page }, hidden) {
  return page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    Object.defineProperty(document, "visibilityState", { value: value ? "hidden" : "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

/** Waits until a tab shows these texts: one that wakes up or follows another first draws its conversation anew. */
async function comesToShow(tab, wanted) {
  const end = Date.now() + 30_000;
  let shown = await tab.texts();
  while (!isDeepStrictEqual(shown, wanted) && Date.now() < end) shown = await tab.texts();
  assert.deepEqual(shown, wanted);
}

/** Whether a tab holds the connection, as its menu says. */
const holds = ({ page }, yes) =>
  page.locator("#transports", { hasText: yes ? "This tab holds" : "Another tab of yours" }).waitFor({ state: "attached" });

test("the eighth tab over Server-Sent Events opens no stream, and sends at once", async () => {
  const [ann, bob] = await stage.pair(SSE);
  await ann.say("first");
  await bob.sees("first");
  const streams = () => stage.relays.sse.requests.filter((line) => line.startsWith("GET /events")).length;
  const before = streams();
  const tabs = await tabsOf(ann, TABS);
  await tabs.at(-1).say("from the last tab");
  await tabs.at(-1).sees("from the last tab");
  await bob.sees("from the last tab");
  await bob.say("to all tabs");
  for (const tab of tabs) {
    await tab.sees("to all tabs");
    assert.deepEqual(await tab.texts(), ["first", "from the last tab", "to all tabs"]);
  }
  assert.equal(streams(), before, "no tab but the first has a stream");
});

test("when the tab that holds the connection closes, another goes on without a gap", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("first");
  await bob.sees("first");
  const [first, second, third] = await tabsOf(ann, 3);
  for (const tab of [second, third]) await holds(tab, false);
  await second.sees("first");
  stage.troubled = true;
  stage.relays.websocket.mode = "refuse";
  await first.page.close();
  await bob.say("while nobody led");
  stage.relays.websocket.mode = "pass";
  await second.sees("while nobody led");
  await third.sees("while nobody led");
  await third.say("by way of the other");
  for (const one of [second, third, bob]) await one.sees("by way of the other");
  for (const tab of [second, third]) await comesToShow(tab, ["first", "while nobody led", "by way of the other"]);
});

test("a tab that is looked at takes the connection from a hidden one, and from a frozen one", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("first");
  await bob.sees("first");
  const [first, second] = await tabsOf(ann, 2);
  await holds(second, false);
  await hide(first, true);
  await hide(second, false);
  await holds(second, true);
  await holds(first, false);
  await second.live();
  await bob.say("to both");
  for (const tab of [first, second]) await tab.sees("to both");
  // Chromium freezes only tabs that are really hidden, so the test sends the event itself.
  await second.page.evaluate(() => document.dispatchEvent(new Event("freeze")));
  await holds(first, true);
  await bob.say("while one is frozen");
  await first.sees("while one is frozen");
  await second.page.evaluate(() => document.dispatchEvent(new Event("resume")));
  await second.sees("while one is frozen");
  const all = ["first", "to both", "while one is frozen"];
  for (const tab of [first, second]) await comesToShow(tab, all);
});

test("a tab that wakes up shows what it showed until it knows what came, and who reads further up stays there", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  const { me } = await ann.get("/api/snapshot");
  const lines = Array.from({ length: 40 }, (_, index) => `line ${index}`);
  await bob.sayAll({ user: me.id }, lines);
  await ann.sees(lines.at(-1));
  const [first, second] = await tabsOf(ann, 2);
  await second.sees(lines.at(-1));
  await second.page.locator("#messages").evaluate((list) => (list.scrollTop = list.scrollHeight / 3));
  const top = () => second.row("line 15").evaluate((row) => row.getBoundingClientRect().top);
  const before = await top();
  await second.page.evaluate(() => {
    const count = () => document.querySelectorAll(".message").length;
    globalThis.fewest = count();
    new MutationObserver(() => (globalThis.fewest = Math.min(globalThis.fewest, count()))).observe(
      document.getElementById("messages"),
      { childList: true, subtree: true },
    );
    document.dispatchEvent(new Event("freeze"));
  });
  await bob.say("while one is frozen");
  await first.sees("while one is frozen");
  await second.page.evaluate(() => document.dispatchEvent(new Event("resume")));
  await second.sees("while one is frozen");
  await comesToShow(second, [...lines, "while one is frozen"]);
  assert.equal(await second.page.evaluate(() => globalThis.fewest), lines.length, "nothing went in between");
  assert.equal(await top(), before);
});

test("who comes back to a hidden tab finds what is new divided off", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await bob.say("seen");
  await ann.sees("seen");
  await hide(ann, true);
  await bob.say("not seen yet");
  await ann.page.locator(".sidebar .unread", { hasText: "1" }).waitFor();
  await hide(ann, false);
  await ann.page.locator(".message", { hasText: "not seen yet" }).locator(".divider").waitFor();
  await ann.page.locator(".sidebar .unread").waitFor({ state: "detached" });
});

test("what waits to be sent, what is half written and what was read are the same in all tabs", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("first");
  await bob.sees("first");
  const [first, second] = await tabsOf(ann, 2);
  await first.page.locator("#composer").pressSequentially("half");
  await assertValue(second, "half");
  await second.page.locator("#composer").fill("");
  await assertValue(first, "");

  stage.troubled = true;
  stage.relays.websocket.block();
  stage.relays.sse.block();
  stage.relays.longpoll.block();
  await second.say("one");
  await first.page.locator(".message.unsent", { hasText: "one" }).waitFor();
  await first.say("two");
  await second.page.locator(".message.unsent", { hasText: "two" }).waitFor();
  await second.say("three");
  await first.page.locator(".message.unsent", { hasText: "three" }).waitFor();
  for (const relay of Object.values(stage.relays)) relay.mode = "pass";
  for (const one of [first, second, bob]) {
    await one.sees("three");
    assert.deepEqual(await one.texts(), ["first", "one", "two", "three"], "in the order of writing, across tabs");
  }
  assert.equal(await second.page.locator(".message.unsent").count(), 0);

  await first.page.goto(`${stage.base}/#/`);
  await second.page.goto(`${stage.base}/#/`);
  await bob.say("unread");
  for (const tab of [first, second]) await tab.page.locator(".sidebar .unread", { hasText: "1" }).waitFor();
  await first.open(bob.name);
  await second.page.locator(".sidebar .unread").waitFor({ state: "detached" });
});

/** Waits until a tab's composer holds a text. */
async function assertValue({ page }, wanted) {
  await page.locator("#composer").evaluate(
    (field, value) =>
      new Promise((resolve) => {
        const look = () => (field.value === value ? resolve() : requestAnimationFrame(look));
        look();
      }),
    wanted,
  );
}

test("who signs out in one tab is signed out in all, and another user may sign in", async () => {
  const ann = await stage.member("Ann");
  const [first, second] = await tabsOf(ann, 2);
  // A request of the other tab at this moment is refused, and the browser logs that.
  stage.troubled = true;
  await first.page.getByRole("button", { name: "Sign out" }).click();
  await second.page.getByText("You were signed out in another tab.").waitFor();
  const bob = Object.assign(second, { name: `Bob of ${ann.name}` });
  await bob.register();
  await first.page.locator(".me .name", { hasText: bob.name }).waitFor();
  await first.live();
});

test("a page that comes back from the back-forward cache catches up", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await ann.say("first");
  await bob.sees("first");
  await ann.page.evaluate(() => (window.kept = true));
  await ann.page.goto("about:blank");
  await bob.say("while Ann was elsewhere");
  await bob.sees("while Ann was elsewhere");
  await ann.page.goBack({ waitUntil: "commit" });
  await ann.sees("while Ann was elsewhere");
  assert.equal(await ann.page.evaluate(() => window.kept), true, "the very same page came back");
  await ann.say("back");
  await bob.sees("back");
});

test("a second user in one browser, under the other name of this machine", async () => {
  const ann = await stage.member("Ann");
  const opening = ann.context.waitForEvent("page");
  await ann.page.getByRole("link", { name: "Open a second user in a new tab" }).first().click();
  const page = await opening;
  ann.watch(page);
  const bob = Object.assign(ann.in(page), { name: `Second of ${ann.name}` });
  assert.equal(new URL(page.url()).hostname, "localhost");
  await bob.register();
  await ann.open(bob.name);
  await ann.say("to myself, as it were");
  await bob.open(ann.name);
  await bob.sees("to myself, as it were");
  await bob.say("hello me");
  await ann.sees("hello me");
});
