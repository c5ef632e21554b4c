/**
 * A transport that the launcher starts only on request: the page offers it, and uses it like the others.
 */

import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";

import { Stage, freePorts } from "./stage.mjs";

const JSON_LINES = { label: "JSON lines", name: "JSON lines" };

/** @type {Stage} */
let stage;

before(async () => {
  const [port] = await freePorts(1);
  stage = await Stage.set({ flags: ["--ndjson", `127.0.0.1:${port}`] });
});
after(() => stage?.close());
afterEach(() => stage.clear());

test("a transport of the list carries messages both ways, and goes on after a loss of connection", async () => {
  const [ann, bob] = await stage.pair(JSON_LINES);
  await ann.say("over lines");
  await bob.sees("over lines");
  await bob.say("and back");
  await ann.sees("and back");

  stage.troubled = true;
  await ann.context.setOffline(true);
  await ann.banner("You are offline.");
  await bob.say("while you were away");
  await ann.context.setOffline(false);
  await ann.sees("while you were away");
  assert.equal(await ann.page.locator(".message", { hasText: "while you were away" }).count(), 1);

  await stage.killServer();
  await stage.startServer();
  await ann.live();
  await ann.say("after a restart");
  await bob.sees("after a restart");
});
