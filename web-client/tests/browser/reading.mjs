/**
 * What counts as read, where a reader goes on, what stands between the messages, and where the focus is.
 */

import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";

import { PASSWORD, Stage, TRANSPORTS } from "./stage.mjs";

/** @type {Stage} */
let stage;

before(async () => (stage = await Stage.set({ flags: ["--messages-per-second", "10000", "--message-burst", "10000"] })));
after(() => stage?.close());
afterEach(() => stage.clear());

const lines = (count, what = "line") => Array.from({ length: count }, (_, index) => `${what} ${index + 1}`);

/** Asks again until something is true. */
async function until(what, isSo) {
  const end = Date.now() + 30_000;
  while (!(await isSo())) assert.ok(Date.now() < end, what);
}

/** How far the server knows a person's only conversation to be read, and the seq of its last message. */
async function mark(person) {
  const [{ read_seq: read, last_seq: last }] = (await person.get("/api/snapshot")).conversations;
  return { read, last };
}

/** The first and the last message of a list that are in sight as a whole, as seqs, and whether the divider is. */
const inSight = ({ page }) =>
  page.locator("#messages").evaluate((list) => {
    const { top, bottom } = list.getBoundingClientRect();
    const isIn = (one) => one.getBoundingClientRect().top >= top - 1 && one.getBoundingClientRect().bottom <= bottom + 1;
    const seqs = [...list.querySelectorAll(".message")].filter(isIn).map((one) => Number(one.dataset.seq));
    const divider = list.querySelector(".divider");
    return { first: seqs[0], last: seqs.at(-1), divider: divider !== null && isIn(divider) };
  });

/** Makes a tab believe that it is hidden, or visible again. */
const hide = ({ page }, hidden) =>
  page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    Object.defineProperty(document, "visibilityState", { value: value ? "hidden" : "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);

/** Ann, who has read one message of Bob's and looks at no conversation, and Bob. */
async function annElsewhere() {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await bob.say("read before");
  await ann.sees("read before");
  await until("the first message is read", async () => (await mark(ann)).read === 1);
  await ann.page.goto(`${stage.base}/#/`);
  await ann.page.locator("#composer").waitFor({ state: "detached" });
  return { ann, bob, toAnn: { user: (await ann.get("/api/snapshot")).me.id } };
}

for (const [count, why] of [
  [30, "a little more than there is room for"],
  [60, "more than a page of history"],
  [450, "more than one answer holds"],
]) {
  test(`with ${count} unread, ${why}, a conversation opens where its reader stopped, and what is seen is read`, async () => {
    const { ann, bob, toAnn } = await annElsewhere();
    await bob.sayAll(toAnn, lines(count));
    await ann.page.locator(".sidebar .unread", { hasText: count > 99 ? "99+" : String(count) }).waitFor();
    await ann.open(bob.name);
    await ann.sees("line 1");
    await until("the divider is in sight", async () => (await inSight(ann)).divider);
    const sight = await inSight(ann);
    assert.ok(sight.first <= 2 && sight.last < count, `in sight: ${JSON.stringify(sight)}`);
    await until("what is in sight is read", async () => (await mark(ann)).read === sight.last);
    await ann.page.getByRole("button", { name: `↓ ${count + 1 - sight.last} new` }).waitFor();
    assert.match(await ann.page.title(), new RegExp(`^\\(${count + 1 - sight.last}\\) `));

    // A little further down, a little more is read; at the end, all of it.
    await ann.page.locator("#messages").evaluate((list) => (list.scrollTop += 200));
    await until("more is read", async () => (await mark(ann)).read > sight.last);
    const further = await inSight(ann);
    await until("no more is read than was seen", async () => (await mark(ann)).read === further.last);
    await ann.page.getByRole("button", { name: / new$/ }).click();
    await until("all is read", async () => (await mark(ann)).read === count + 1);
    assert.deepEqual(await ann.texts(), ["read before", ...lines(count)], "each once, in order");
    await ann.page.locator(".to-bottom").waitFor({ state: "detached" });
    await ann.page.locator(".sidebar .unread").waitFor({ state: "detached" });
  });
}

test("what comes while the tab is hidden is not read, and its reader goes on at the first of it", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await bob.say("read before");
  await ann.sees("read before");
  await until("the first message is read", async () => (await mark(ann)).read === 1);
  const toAnn = { user: (await ann.get("/api/snapshot")).me.id };
  await hide(ann, true);
  await bob.sayAll(toAnn, lines(60));
  await ann.page.locator(".sidebar .unread", { hasText: "60" }).waitFor();
  await ann.row("line 60").waitFor({ state: "attached" });
  assert.equal((await mark(ann)).read, 1);
  await hide(ann, false);
  await until("the divider is in sight", async () => (await inSight(ann)).divider);
  const sight = await inSight(ann);
  assert.ok(sight.last < 61, JSON.stringify(sight));
  await until("what is in sight is read", async () => (await mark(ann)).read === sight.last);
});

test("more than there is room for at once leaves its reader at the first of it, and who writes has read it all", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await bob.say("read before");
  await ann.sees("read before");
  const toAnn = { user: (await ann.get("/api/snapshot")).me.id };
  stage.troubled = true;
  await ann.context.setOffline(true);
  await ann.banner("You are offline.");
  await bob.sayAll(toAnn, lines(60));
  await ann.context.setOffline(false);
  await ann.banner("Back online. Caught up on 60 messages.");
  await until("the first of them is in sight", async () => (await inSight(ann)).first <= 2);
  await ann.page.locator(".divider").waitFor();
  await ann.page.getByRole("button", { name: / new$/ }).waitFor();
  await ann.say("I have read it all");
  await bob.sees("I have read it all");
  await until("all is read", async () => (await mark(ann)).read === (await mark(ann)).last);
  await until("one's own message is in sight", async () => (await inSight(ann)).last === 62);
  await ann.page.locator(".to-bottom").waitFor({ state: "detached" });
});

test("what one wrote elsewhere is not unread here", async () => {
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  await bob.say("hello");
  await ann.sees("hello");
  await ann.page.goto(`${stage.base}/#/`);
  await bob.say("a second one");
  await ann.page.locator(".sidebar .unread", { hasText: "1" }).waitFor();
  await ann.sayAll({ user: (await bob.get("/api/snapshot")).me.id }, ["from another device"]);
  await bob.sees("from another device");
  await ann.page.locator(".sidebar .unread").waitFor({ state: "detached" });
  assert.doesNotMatch(await ann.page.title(), /^\(/);
  await ann.page.reload();
  await ann.live();
  assert.equal(await ann.page.locator(".sidebar .unread").count(), 0);
});

test("who joins, leaves and joins again stands between the messages, with what they missed, also after a reload", async () => {
  const ann = await stage.member("Ann");
  const bob = await stage.member("Bob");
  const group = `wires of ${ann.name}`;
  await ann.page.getByRole("button", { name: "New group" }).click();
  await ann.page.getByLabel("Name of the group").fill(group);
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("heading", { level: 2, name: group }).waitFor();
  for (const text of ["one", "two"]) {
    await ann.say(text);
    await ann.sees(text);
  }
  await bob.page.getByRole("button", { name: `Join ${group}` }).click();
  const event = (person, text) => person.page.locator(".event", { hasText: text });
  await event(ann, `${bob.name} joined the group.`).waitFor();
  await event(bob, "You joined the group.").waitFor();
  await event(bob, "2 messages were sent before you joined.").waitFor();
  await ann.say("three");
  await bob.sees("three");
  await bob.page.getByRole("button", { name: `Leave ${group}` }).click();
  await bob.page.getByRole("button", { name: "Leave", exact: true }).click();
  await event(ann, `${bob.name} left the group.`).waitFor();
  for (const text of ["four", "five", "six"]) {
    await ann.say(text);
    await ann.sees(text);
  }
  await bob.page.getByRole("button", { name: "Join again" }).click();
  const gap = "3 messages were sent while you were not in the group.";
  await event(bob, gap).waitFor();
  assert.deepEqual(
    (await bob.page.locator(".event").allTextContents()).map((text) => text.trim()),
    ["2 messages were sent before you joined.", "You joined the group.", "You left the group.", gap, "You joined the group."],
  );
  await bob.page.reload();
  await event(bob, gap).waitFor();
  await ann.say("seven");
  await bob.sees("seven");
  await bob.page.reload();
  await bob.sees("seven");
  await event(bob, gap).waitFor();
  const order = await bob.page.locator(".event.gap, .text").allTextContents();
  assert.deepEqual(order.map((text) => text.trim()), ["2 messages were sent before you joined.", "three", gap, "seven"]);
  assert.equal(await bob.page.locator(".sidebar .unread").count(), 0);
});

for (const transport of TRANSPORTS) {
  test(`${transport.label}: nobody is said to be typing what has just arrived`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await bob.say("first");
    await ann.sees("first");
    // Counts the typing notices that are still shown when their message has arrived.
    await ann.page.evaluate(() => {
      globalThis.belated = 0;
      const look = () => {
        const last = [...document.querySelectorAll(".message .text")].at(-1)?.textContent;
        if (last === "typed quickly" && document.querySelector(".typing").textContent.trim() !== "") globalThis.belated += 1;
      };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await bob.page.locator("#composer").pressSequentially("typed quickly");
    await bob.page.locator("#composer").press("Enter");
    await ann.sees("typed quickly");
    // This one is not typed, so no notice announces it. Once it is here, everything that was sent before is here, too.
    await bob.sayAll({ user: (await ann.get("/api/snapshot")).me.id }, ["last"]);
    await ann.sees("last");
    assert.equal(await ann.page.evaluate(() => globalThis.belated), 0);
  });
}

test("names are sent without the spaces that a phone's keyboard adds", async () => {
  const ann = await stage.person("Ann");
  const { name } = ann;
  await ann.page.getByRole("button", { name: "Create an account" }).click();
  await ann.page.getByLabel("Name").fill(`  ${name} `);
  await ann.page.getByLabel("Password").fill(PASSWORD);
  await ann.page.getByRole("button", { name: "Create account" }).click();
  await ann.live();
  assert.equal(await ann.page.locator(".me .name").textContent(), name);
  await ann.page.getByRole("button", { name: "Sign out" }).click();
  await ann.page.getByLabel("Name").fill(`${name} `);
  await ann.page.getByLabel("Password").fill(PASSWORD);
  await ann.page.getByRole("button", { name: "Sign in", exact: true }).click();
  await ann.live();
  await ann.page.getByRole("button", { name: "New group" }).click();
  await ann.page.getByLabel("Name of the group").fill(` of ${name} `);
  await ann.page.getByRole("button", { name: "Create", exact: true }).click();
  await ann.page.getByRole("heading", { level: 2, name: `of ${name}` }).waitFor();
  assert.equal((await ann.get("/api/groups")).groups.find(({ joined }) => joined).name, `of ${name}`);
});

test("where the browser does not send the cookie, the form says so, and not that a session has expired", async () => {
  const ann = await stage.member("Ann");
  await ann.page.getByRole("button", { name: "Sign out" }).click();
  await ann.page.getByLabel("Name").fill(ann.name);
  await ann.page.getByLabel("Password").fill(PASSWORD);
  await ann.page.route("**/api/login", async (route) => {
    const response = await route.fetch();
    const { "set-cookie": _, ...headers } = response.headers();
    await ann.context.clearCookies();
    await route.fulfill({ response, headers });
  });
  await ann.page.getByRole("button", { name: "Sign in", exact: true }).click();
  await ann.page.getByRole("alert").filter({ hasText: "this browser does not send its cookie back" }).waitFor();
  assert.equal(await ann.page.getByText("session has expired").count(), 0);
  await ann.page.locator("#sign-in-name:focus").waitFor();
  await ann.page.unroute("**/api/login");
  await ann.page.getByRole("button", { name: "Sign in", exact: true }).click();
  await ann.live();
});

/** Waits until something has the focus, and is in the page. */
const focused = ({ page }, selector) => page.locator(`${selector}:focus`).waitFor();

test("whatever goes, the focus stays on the page: signing up, groups, leaving, coming back, signing out and in", async () => {
  const ann = await stage.person("Ann");
  const { page } = ann;
  const bob = await stage.member("Bob");
  await focused(ann, "#sign-in-name");
  await page.getByRole("button", { name: "Create an account" }).press("Enter");
  await focused(ann, "#sign-in-name");
  await page.keyboard.type(ann.name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await ann.live();
  await focused(ann, ".sidebar");

  const group = `keys of ${ann.name}`;
  await page.getByRole("button", { name: "New group" }).press("Enter");
  await focused(ann, "#new-group");
  await page.keyboard.type(group);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: group }).waitFor();
  await focused(ann, "#composer");

  const button = (name) => page.getByRole("button", { name, exact: true });
  const hasFocus = (name) => button(name).and(page.locator(":focus")).waitFor();
  await button(`Leave ${group}`).press("Enter");
  await hasFocus("Stay");
  await page.keyboard.press("Enter");
  await hasFocus(`Leave ${group}`);
  await page.keyboard.press("Enter");
  await hasFocus("Stay");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await hasFocus("Join again");
  await page.keyboard.press("Enter");
  await focused(ann, "#composer");
  await button(`Leave ${group}`).press("Enter");
  await hasFocus("Stay");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await hasFocus("Join again");
  await ann.open(bob.name);
  await focused(ann, "#composer");
  await button(`Join ${group}`).press("Enter");
  await page.getByRole("heading", { level: 2, name: group }).waitFor();
  await focused(ann, "#composer");

  // The button that sends, the Wire drawer, and an entry that moves.
  await ann.open(bob.name);
  await page.keyboard.type("by the button");
  await button("Send").press("Enter");
  await ann.sees("by the button");
  await focused(ann, "#composer");
  await page.locator(".badge").press("Enter");
  await button("Show the wire").press("Enter");
  await focused(ann, "#wire-close");
  await page.locator("#transports").waitFor({ state: "hidden" });
  await button("Close").press("Enter");
  await focused(ann, ".badge");
  const entry = page.locator(".sidebar").getByRole("link", { name: bob.name });
  const cid = await stage.member("Cid");
  await entry.focus();
  await cid.sayAll({ user: (await ann.get("/api/snapshot")).me.id }, ["now Cid stands above Bob"]);
  await page.locator(".sidebar a.entry").filter({ hasText: cid.name }).locator(".unread").waitFor();
  await entry.and(page.locator(":focus")).waitFor();
  await page.locator("#find").fill("nobody has such a name");
  await page.keyboard.press("Enter");
  await focused(ann, "#find");
  await page.locator("#find").fill("");

  await button("Sign out").press("Enter");
  await focused(ann, "#sign-in-name");
  await page.keyboard.type(ann.name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await ann.live();
  await focused(ann, ".sidebar");
  stage.troubled = true;
  await ann.post("/api/logout");
  await button("Sign in again").press("Enter");
  await focused(ann, "#sign-in-name");
});

test("the focus stays on the page where a banner's buttons and a message's go", async () => {
  const [ann] = await stage.pair(TRANSPORTS[0]);
  const { page } = ann;
  const button = (name) => page.getByRole("button", { name, exact: true });
  await ann.say("x".repeat(8_193));
  await button("Discard").press("Enter");
  await focused(ann, "#composer");
  stage.troubled = true;
  stage.relays.websocket.mode = "upgrade";
  stage.relays.websocket.cut();
  await button("Stay with SSE").press("Enter");
  await page.locator(".banner").waitFor({ state: "detached" });
  await focused(ann, "#composer");
  for (const relay of Object.values(stage.relays)) relay.block();
  await ann.banner(/Connection lost\. |Nothing answers at /);
  await button("Try now").focus();
  for (const relay of Object.values(stage.relays)) relay.mode = "pass";
  await page.locator(".badge.live").waitFor();
  await page.locator(".banner").waitFor({ state: "detached" });
  await focused(ann, "#composer");
});

test("on a touch screen the focus stays on the page too, without a keyboard over the messages", async () => {
  const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
  const ann = await stage.member("Ann", TRANSPORTS[0], phone);
  const bob = await stage.member("Bob");
  await focused(ann, ".sidebar");
  await ann.page.locator(".sidebar").getByRole("link", { name: bob.name }).tap();
  await focused(ann, "#conversation");
  await ann.page.locator("#composer").fill("from a phone");
  await ann.page.getByRole("button", { name: "Send" }).tap();
  await ann.sees("from a phone");
  await focused(ann, "#composer");
  await ann.page.getByRole("link", { name: "Back to groups and people" }).tap();
  await focused(ann, ".sidebar");
});
