/**
 * The same journeys on every transport: two people, two browsers, and what can happen to them.
 *
 * `node --test tests/browser/journeys.mjs`; `TRANSPORT=SSE` runs those of one transport.
 */

import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";

import { Stage, TRANSPORTS } from "./stage.mjs";

/** @type {Stage} */
let stage;

// Some people here send more messages a second than the default allows.
before(async () => (stage = await Stage.set({ flags: ["--messages-per-second", "10000", "--message-burst", "10000"] })));
after(() => stage?.close());
afterEach(() => stage.clear());

/** How many messages of history a page asks for at once. */
const PAGE = 50;

for (const transport of TRANSPORTS.filter(({ label }) => label === (process.env.TRANSPORT || label))) {
  const { label } = transport;
  const relay = () => stage.relays[transport.server];

  test(`${label}: register, find, message, reply, make a group, join, leave`, async () => {
    const ann = await stage.member("Ann", transport);
    const bob = await stage.member("Bob", transport);
    await ann.page.locator(".sidebar").getByRole("link", { name: bob.name }).waitFor();
    await ann.page.locator("#find").fill(bob.name);
    await ann.page.locator("#find").press("Enter");
    await ann.page.locator(".head .presence.online").waitFor();
    const question = `Is ${label} there?`;
    await ann.say(question);
    await bob.page.locator(".sidebar .unread", { hasText: "1" }).waitFor();
    assert.match(await bob.page.title(), /^\(1\) /);
    await bob.open(ann.name);
    const answer = `${label} is.\nTwo lines, 🙂, and <b>no markup</b>.`;
    await bob.say(answer);
    for (const one of [ann, bob]) for (const text of [question, answer]) await one.sees(text);
    await bob.page.locator(".sidebar .unread").waitFor({ state: "detached" });

    const group = `wires ${label} ${ann.name}`;
    await ann.page.getByRole("button", { name: "New group" }).click();
    await ann.page.getByLabel("Name of the group").fill(group);
    await ann.page.getByRole("button", { name: "Create", exact: true }).click();
    await ann.page.getByRole("heading", { level: 2, name: group }).waitFor();
    await ann.say("before Bob came");
    await ann.sees("before Bob came");
    await bob.page.getByRole("button", { name: `Join ${group}` }).click();
    for (const one of [ann, bob]) await one.page.locator(".head", { hasText: "2 members" }).waitFor();
    await bob.say("hello group");
    await ann.sees("hello group");
    await ann.say("hello Bob");
    await bob.sees("hello Bob");
    assert.deepEqual(await bob.texts(), ["hello group", "hello Bob"], "what was said before one joined is not shown");

    await bob.page.getByRole("button", { name: `Leave ${group}` }).click();
    await bob.page.getByRole("button", { name: "Leave", exact: true }).click();
    await bob.page.getByRole("button", { name: "Join again" }).waitFor();
    await ann.page.locator(".head", { hasText: "1 member:" }).waitFor();
    await ann.say("after Bob left");
    await ann.sees("after Bob left");
    assert.deepEqual(await bob.texts(), ["hello group", "hello Bob"], "what is said after one left is not shown");
    assert.equal(await bob.page.locator("#composer").count(), 0);
  });

  test(`${label}: the server is killed while Ann writes, and comes back`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.say("before");
    for (const one of [ann, bob]) await one.sees("before");
    await ann.page.locator("#composer").pressSequentially("half a tho");
    await bob.page.locator(".typing", { hasText: `${ann.name} is typing` }).waitFor();
    await stage.killServer();
    await ann.banner(/Connection lost\. |Nothing answers at /);
    await ann.page.locator("#composer").pressSequentially("ught");
    assert.equal(await ann.page.locator("#composer").inputValue(), "half a thought");
    await ann.page.locator("#composer").press("Enter");
    await ann.page.locator(".message.unsent", { hasText: "half a thought" }).waitFor();
    await stage.startServer();
    await ann.banner("Back online.");
    for (const one of [ann, bob]) {
      await one.sees("half a thought");
      assert.deepEqual(await one.texts(), ["before", "half a thought"]);
    }
  });

  test(`${label}: the connection is cut after a message arrived and before Ann heard of it`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.say("first");
    await bob.sees("first");
    stage.troubled = true;
    relay().deaf = true;
    await ann.say("exactly once");
    // The server has stored it, and no reply can have arrived.
    const { conversations } = await ann.get("/api/snapshot");
    const stored = async () => (await ann.get(`/api/conversations/${conversations[0].id}/messages`)).messages.length;
    while ((await stored()) < 2);
    assert.equal(await ann.page.locator(".message.unsent", { hasText: "exactly once" }).count(), 1);
    relay().cut();
    relay().deaf = false;
    for (const one of [ann, bob]) {
      await one.sees("exactly once");
      assert.deepEqual(await one.texts(), ["first", "exactly once"]);
    }
    assert.equal(await stored(), 2);
    assert.equal(await ann.page.locator(".message.unsent").count(), 0);
  });

  test(`${label}: the page is reloaded with a full outbox`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.say("zero");
    await bob.sees("zero");
    stage.troubled = true;
    for (const one of Object.values(stage.relays)) one.block();
    const said = Array.from({ length: 8 }, (_, index) => `unsent ${index}`);
    for (const text of said) await ann.say(text);
    await ann.page.locator(".message.unsent").nth(said.length - 1).waitFor();
    await ann.page.reload();
    await ann.page.locator(".message.unsent").nth(said.length - 1).waitFor();
    for (const one of Object.values(stage.relays)) one.mode = "pass";
    for (const one of [ann, bob]) {
      await one.sees(said.at(-1));
      assert.deepEqual(await one.texts(), ["zero", ...said], "each once, in the order of writing");
    }
    await ann.page.locator(".message.unsent").first().waitFor({ state: "detached" });
  });

  test(`${label}: exchanged for each of the others while both write`, async () => {
    const [ann, bob] = await stage.pair(transport);
    const writers = [ann, bob].map(async (one) => {
      const texts = Array.from({ length: 24 }, (_, index) => `${one.name} writes ${index}`);
      for (const text of texts) await one.say(text);
      return texts;
    });
    const others = TRANSPORTS.filter((other) => other !== transport);
    const changes = (async () => {
      for (const other of [...others, transport]) await bob.choose(other);
    })();
    const said = (await Promise.all([...writers, changes])).slice(0, 2);
    for (const one of [ann, bob]) for (const texts of said) await one.sees(texts.at(-1));
    const [atAnn, atBob] = [await ann.texts(), await bob.texts()];
    assert.deepEqual(atAnn, atBob, "both see the same");
    for (const texts of said) {
      assert.deepEqual(
        atBob.filter((text) => texts.includes(text)),
        texts,
        "each once, in the order of writing",
      );
    }
  });

  test(`${label}: a sign-in that was ended elsewhere asks for another, and loses nothing`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await ann.say("signed in");
    await bob.sees("signed in");
    stage.troubled = true;
    await ann.post("/api/logout");
    await ann.page.getByRole("button", { name: "Sign in again" }).waitFor();
    await ann.say("written in between");
    await ann.page.locator(".message.unsent").waitFor();
    await ann.page.getByRole("button", { name: "Sign in again" }).click();
    await ann.page.getByLabel("Name").fill(ann.name);
    await ann.page.getByLabel("Password").fill("correct horse");
    await ann.page.getByRole("button", { name: "Sign in", exact: true }).click();
    for (const one of [ann, bob]) {
      await one.sees("written in between");
      assert.deepEqual(await one.texts(), ["signed in", "written in between"]);
    }
  });

  test(`${label}: a reader of old messages is not moved, by older ones or by new ones`, async () => {
    const [ann, bob] = await stage.pair(transport);
    await bob.say("hello");
    await ann.sees("hello");
    const { me } = await ann.get("/api/snapshot");
    // More than a page, so that the page before the newest must be requested.
    await bob.sayAll(
      { user: me.id },
      Array.from({ length: 48 }, (_, index) => `line ${index}\n`.repeat((index % 4) + 1).trim()),
    );
    await ann.sayAll(
      { user: (await bob.get("/api/snapshot")).me.id },
      Array.from({ length: 48 }, (_, index) => `more ${index}`),
    );
    // Only a conversation that has been read opens at the bottom; before that, it opens at what is new.
    await ann.sees("more 47");
    const isRead = async () => (await ann.get("/api/snapshot")).conversations.every((one) => one.read_seq === one.last_seq);
    while (!(await isRead()));
    await ann.page.reload();
    await ann.sees("more 47");
    const list = ann.page.locator("#messages");
    assert.equal(await ann.page.locator(".message").count(), PAGE);
    // The topmost message in sight keeps its place when a page is added above it.
    const before = await list.evaluate((element) => {
      element.scrollTop = 120;
      const top = element.getBoundingClientRect().top;
      const row = [...element.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().top > top);
      row.id = "watched";
      return row.getBoundingClientRect().top;
    });
    await ann.page.locator(".message").nth(PAGE).waitFor({ state: "attached" });
    const place = () => ann.page.locator("#watched").evaluate((row) => row.getBoundingClientRect().top);
    assert.ok(Math.abs((await place()) - before) <= 1, `moved from ${before} to ${await place()}`);
    await bob.say("something new");
    await ann.page.getByRole("button", { name: "↓ 1 new" }).waitFor();
    assert.ok(Math.abs((await place()) - before) <= 1, `moved from ${before} to ${await place()}`);
    await ann.page.getByRole("button", { name: "↓ 1 new" }).click();
    await list.evaluate(
      (element) =>
        new Promise((resolve) => {
          const look = () =>
            element.scrollHeight - element.scrollTop - element.clientHeight < 2 ? resolve() : requestAnimationFrame(look);
          look();
        }),
    );
  });

  test(`${label}: the whole story by keyboard alone`, async () => {
    const bob = await stage.member("Bob", transport);
    const ann = await stage.person("Ann");
    const { keyboard } = ann.page;
    /** Presses Tab until the element with this name has the focus. */
    const tabTo = async (name) => {
      for (let step = 0; step < 400; step += 1) {
        await keyboard.press("Tab");
        const label = await ann.page.evaluate(() => {
          const one = document.activeElement;
          if (one === document.body) return "";
          return `${one?.ariaLabel ?? ""} ${one?.labels?.[0]?.textContent ?? ""} ${one?.textContent ?? ""}`;
        });
        if (label.replaceAll(/\s+/g, " ").includes(name)) return;
      }
      assert.fail(`no Tab leads to ${name}`);
    };
    await tabTo("Create an account");
    await keyboard.press("Enter");
    await ann.page.getByRole("heading", { name: "Create an account" }).waitFor();
    await ann.page.locator("#sign-in-name:focus").waitFor();
    await keyboard.type(ann.name);
    await tabTo("Password");
    await keyboard.type("correct horse");
    await keyboard.press("Enter");
    await ann.live();
    // A group may be named after a transport, but only the badge says both words.
    await tabTo("WebSocket · live");
    await keyboard.press("Enter");
    await ann.page.locator("#transports").waitFor();
    await keyboard.press("Tab");
    for (let step = TRANSPORTS.indexOf(transport); step > 0; step -= 1) await keyboard.press("ArrowDown");
    await keyboard.press("Escape");
    await ann.page.locator(".badge.live .label").getByText(label, { exact: true }).waitFor();

    await ann.page.locator(".sidebar").getByRole("link", { name: bob.name }).waitFor();
    await keyboard.press("Control+k");
    await keyboard.type(bob.name);
    await keyboard.press("Enter");
    await ann.page.getByRole("heading", { level: 2, name: bob.name }).waitFor();
    await ann.page.locator("#composer:focus").waitFor();
    await keyboard.type("by hand");
    await keyboard.press("Shift+Enter");
    await keyboard.type("on two lines");
    await keyboard.press("Enter");
    await ann.sees("by hand\non two lines");
    await bob.open(ann.name);
    await bob.say("seen");
    await ann.sees("seen");

    const group = `keys ${label} ${ann.name}`;
    await keyboard.press("Control+k");
    await tabTo("New group");
    await keyboard.press("Enter");
    await ann.page.locator("#new-group:focus").waitFor();
    await keyboard.type(group);
    await keyboard.press("Enter");
    await ann.page.getByRole("heading", { level: 2, name: group }).waitFor();
    await keyboard.press("Alt+ArrowDown");
    await ann.page.getByRole("heading", { level: 2, name: group }).waitFor({ state: "detached" });
    await keyboard.press("Alt+ArrowUp");
    await ann.page.getByRole("heading", { level: 2, name: group }).waitFor();
    await ann.page.locator("#composer:focus").waitFor();
    for (let step = 0; step < 20; step += 1) {
      await keyboard.press("Shift+Tab");
      if (await ann.page.locator("button:focus", { hasText: "Leave…" }).count()) break;
    }
    await keyboard.press("Enter");
    await ann.page.getByRole("button", { name: "Leave", exact: true }).waitFor();
    await tabTo("Leave");
    await keyboard.press("Enter");
    await ann.page.getByRole("button", { name: "Join again" }).waitFor();
    await tabTo("Join again");
    await keyboard.press("Enter");
    await ann.page.locator("#composer").waitFor();
    await tabTo("Sign out");
    await keyboard.press("Enter");
    await ann.page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  test(`${label}: on a phone, one pane at a time`, async () => {
    const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
    const ann = await stage.member("Ann", transport, phone);
    const bob = await stage.member("Bob", transport);
    await ann.page.locator(".me").getByText(ann.name).waitFor();
    await ann.page.locator(".sidebar").getByRole("link", { name: bob.name }).tap();
    await ann.page.getByRole("heading", { level: 2, name: bob.name }).waitFor();
    assert.equal(await ann.page.locator(".sidebar").isVisible(), false);
    await ann.say("from a phone");
    await ann.sees("from a phone");
    await bob.open(ann.name);
    await bob.say("from a desk");
    await ann.sees("from a desk");
    const overflow = await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.equal(overflow, 0, "nothing is wider than the phone");
    await ann.page.getByRole("link", { name: "Back to groups and people" }).tap();
    await ann.page.locator(".sidebar").waitFor();
    await ann.page.goBack();
    await ann.page.getByRole("heading", { level: 2, name: bob.name }).waitFor();
  });
}

test("at the bottom a long conversation is let go of bit by bit, and further up it is read again", async () => {
  const MANY = 700;
  const MOST = 600;
  const [ann, bob] = await stage.pair(TRANSPORTS[0]);
  const { me } = await ann.get("/api/snapshot");
  const lines = Array.from({ length: MANY }, (_, index) => `line ${index}`);
  await bob.sayAll({ user: me.id }, lines);
  await ann.sees(lines.at(-1));
  /** Scrolls up until everything has been loaded. */
  const readAll = () =>
    ann.page.locator("#messages").evaluate(async (list) => {
      while (!list.querySelector(".notice").textContent.includes("beginning")) {
        list.scrollTop = 0;
        await new Promise((done) => requestAnimationFrame(done));
      }
    });
  await readAll();
  assert.deepEqual(await ann.texts(), lines);
  await ann.page.locator("#messages").evaluate((list) => (list.scrollTop = list.scrollHeight));
  await ann.page.locator(".message").nth(MOST).waitFor({ state: "detached" });
  const kept = await ann.texts();
  assert.deepEqual(kept, lines.slice(-kept.length), "the newest stay");
  const fromBottom = await ann.page
    .locator("#messages")
    .evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight);
  assert.ok(fromBottom < 2, `${fromBottom} px from the bottom`);
  await readAll();
  assert.deepEqual(await ann.texts(), lines, "all of it, each once");
});
