import assert from "node:assert/strict";
import test from "node:test";

import * as model from "../../static/model.js";
import * as selectors from "../../static/selectors.js";
import { between } from "../../static/between.js";
import { trimmed } from "../../static/far.js";

const ANN = { id: "u1", name: "Ann" };
const NOW = 1_000;

/** A state in which Ann is alone with what `more` adds. */
function start(more = {}) {
  return model.fromSnapshot({
    cursor: "e.0",
    me: ANN,
    groups: [],
    conversations: [],
    users: [
      { ...ANN, online: true },
      { id: "u2", name: "Bob", online: false },
      { id: "u3", name: "Cid", online: false },
    ],
    ...more,
  });
}

const direct = { id: "c9", kind: "direct", with: "u2", members: ["u1", "u2"], last_seq: 0, read_seq: 0, joined: true };
const rust = { id: "c5", kind: "group", name: "rust", members: ["u1", "u2"], last_seq: 0, read_seq: 0, joined: true };
const rustGroup = { conversation: "c5", name: "rust", members: 2, joined: true };

const message = (seq, from, text = `text ${seq}`, conversation = "c9") => ({
  type: "message",
  id: `e.${conversation}.${seq}`,
  conversation,
  seq,
  from,
  cid: `cid-${from}-${seq}`,
  text,
  at: "2026-01-01T10:00:00Z",
});

/** What the page shows of a conversation, besides times. */
const shown = (state, id, entries = []) =>
  selectors
    .rows(state, state.conversations.get(id).messages, entries)
    .map(({ key, text, entry }) => [key, text, entry?.state ?? "stored"]);

const applyAll = (state, ...events) => events.reduce((current, event) => model.apply(current, event, NOW), state);

/** A state as plain values that can be compared. */
const comparable = ({ users, groups, conversations }) => ({
  users: [...users.values()],
  groups: [...groups.values()].map(({ conversation, name, joined }) => [conversation, name, joined]),
  conversations: [...conversations.values()].map(
    ({ id, kind, name, with: other, members, joined, lastSeq, readSeq }) => ({
      id,
      kind,
      name,
      other,
      members: [...members].sort(),
      joined,
      lastSeq,
      readSeq,
    }),
  ),
});

test("a snapshot with the events after it is the later snapshot", () => {
  const earlier = start({ conversations: [rust], groups: [rustGroup] });
  const later = start({
    users: [...start().users.values(), { id: "u4", name: "Dee", online: false }],
    conversations: [
      { ...rust, members: ["u1", "u4"], last_seq: 1, read_seq: 1 },
      { ...direct, last_seq: 2 },
      { ...rust, id: "c6", name: "wires", members: ["u1"] },
    ],
    groups: [rustGroup, { conversation: "c6", name: "wires", members: 1, joined: true }],
  });
  const events = [
    { type: "user_registered", id: "1", user: { id: "u4", name: "Dee" } },
    { type: "member_joined", id: "2", conversation: "c5", user: "u4" },
    { type: "direct_started", id: "3", conversation: "c9", members: ["u1", "u2"] },
    message(1, "u2"),
    message(1, "u2", "hello", "c5"),
    { type: "read", id: "4", conversation: "c5", seq: 1 },
    { type: "member_left", id: "5", conversation: "c5", user: "u2" },
    { type: "group_created", id: "6", conversation: "c6", name: "wires", by: "u1" },
    message(2, "u2"),
  ];
  assert.deepEqual(comparable(applyAll(earlier, ...events)), comparable(later));
});

test("an event that comes twice changes nothing the second time", () => {
  const before = applyAll(start({ conversations: [rust], groups: [rustGroup] }), message(1, "u2", "hi", "c5"));
  const joined = { type: "member_joined", id: "7", conversation: "c5", user: "u3" };
  const left = { type: "member_left", id: "8", conversation: "c5", user: "u3" };
  const after = applyAll(before, joined, left);
  assert.equal(applyAll(after, joined), after);
  assert.equal(applyAll(after, message(1, "u2", "hi", "c5")), after);
});

test("the state that an event is applied to stays as it was", () => {
  const before = start({ conversations: [direct] });
  const copy = structuredClone(comparable(before));
  applyAll(before, message(1, "u2"), { type: "presence", online: ["u2"], offline: [] });
  assert.deepEqual(comparable(before), copy);
});

test("messages stand in the order of their seq, whatever order they come in", () => {
  const state = applyAll(start({ conversations: [direct] }), message(2, "u2"), message(1, "u2"), message(3, "u2"));
  assert.deepEqual(
    state.conversations.get("c9").messages.map(({ seq }) => seq),
    [1, 2, 3],
  );
});

test("one's own message is one row before its echo, after it, and after its reply", () => {
  const entry = { cid: "cid-u1-1", to: { user: "u2" }, text: "hi", at: "2026-01-01T10:00:00Z", state: "sending" };
  const waiting = start({ conversations: [direct] });
  assert.deepEqual(shown(waiting, "c9", [entry]), [["cid-u1-1", "hi", "sending"]]);

  const echoed = applyAll(waiting, message(1, "u1", "hi"));
  assert.deepEqual(shown(echoed, "c9", [entry]), [["cid-u1-1", "hi", "stored"]]);

  const { type, id, ...stored } = message(1, "u1", "hi");
  const acknowledged = model.withSent(waiting, stored, { user: "u2" });
  assert.deepEqual(shown(acknowledged, "c9", [entry]), [["cid-u1-1", "hi", "stored"]]);
  assert.deepEqual(shown(applyAll(acknowledged, message(1, "u1", "hi")), "c9"), [["cid-u1-1", "hi", "stored"]]);
});

test("another's message with one's own cid hides nothing", () => {
  const entry = { cid: "same", to: { user: "u2" }, text: "mine", at: "", state: "sending" };
  const state = applyAll(start({ conversations: [direct] }), { ...message(1, "u2", "theirs"), cid: "same" });
  assert.deepEqual(
    shown(state, "c9", [entry]).map(([, text]) => text),
    ["theirs", "mine"],
  );
});

test("a reply about a message from long ago leaves no hole in the history", () => {
  const state = start({ conversations: [{ ...direct, last_seq: 200, read_seq: 200 }] });
  const { type, id, ...old } = message(10, "u1");
  assert.deepEqual(model.withSent(state, old, { user: "u2" }).conversations.get("c9").messages, []);
});

test("a conversation that begins with one's own message is there when its reply is, not only with its event", () => {
  const { type, id, ...stored } = message(1, "u1", "hi");
  const begun = model.withSent(start(), stored, { user: "u2" });
  assert.deepEqual(shown(begun, "c9"), [["cid-u1-1", "hi", "stored"]]);
  assert.equal(selectors.directWith(begun, "u2").id, "c9");
  const started = { type: "direct_started", id: "e.1", conversation: "c9", members: ["u1", "u2"] };
  assert.deepEqual(shown(applyAll(begun, started, message(1, "u1", "hi")), "c9"), [["cid-u1-1", "hi", "stored"]]);
});

test("a snapshot made from a state gives that state again", () => {
  const state = applyAll(
    start({ conversations: [{ ...direct, last_seq: 2, read_seq: 1 }, rust], groups: [rustGroup] }),
    message(3, "u2"),
    { type: "presence", online: ["u3"] },
  );
  const again = model.fromSnapshot(model.toSnapshot(state, "e.7"));
  const byId = (one) => comparable(one).conversations.sort((a, b) => a.id.localeCompare(b.id));
  assert.deepEqual({ ...comparable(again), conversations: byId(again) }, { ...comparable(state), conversations: byId(state) });
  assert.equal(selectors.unread(again.conversations.get("c9")), 2);
  const order = ({ conversations }) => [...conversations.values()].sort((a, b) => a.activity - b.activity).map(({ id }) => id);
  assert.deepEqual(order(again), order(state), "the liveliest conversation is still the last");
});

test("a message stays in its block, whatever is added before or after it", () => {
  const blocksOf = (...seqs) => selectors.blocks(seqs.map((seq) => ({ seq })), 3).map(({ key, start, end }) => [key, seqs.slice(start, end)]);
  assert.deepEqual(blocksOf(5, 6, 7), [[1, [5, 6]], [2, [7]]]);
  assert.deepEqual(blocksOf(2, 3, 4, 5, 6, 7, 8), [[0, [2, 3]], [1, [4, 5, 6]], [2, [7, 8]]]);
  // The seqs between them were sent while the user was not a member.
  assert.deepEqual(blocksOf(1, 9), [[0, [1]], [2, [9]]]);
});

test("a page of history goes before what came live", () => {
  const live = applyAll(start({ conversations: [{ ...direct, last_seq: 2, read_seq: 2 }] }), message(3, "u2"));
  assert.equal(live.conversations.get("c9").history, "unknown");
  const state = model.withPage(live, "c9", {
    messages: [message(1, "u1"), message(2, "u2"), message(3, "u2")],
    more: false,
  });
  assert.deepEqual(
    state.conversations.get("c9").messages.map(({ seq }) => seq),
    [1, 2, 3],
  );
  assert.equal(state.conversations.get("c9").history, "complete");
});

test("after a new snapshot what was said stays in sight, until the newest messages show whether it goes on from there", () => {
  const seqs = (state) => state.conversations.get("c9").messages.map(({ seq }) => seq);
  const before = applyAll(start({ conversations: [direct] }), message(1, "u1"), message(2, "u2"), message(3, "u2"));
  const summary = { ...direct, last_seq: 5, read_seq: 2 };
  const snapshot = model.toSnapshot(start({ conversations: [summary] }), "e.5");
  const woken = model.fromSnapshot(snapshot, before);
  assert.deepEqual(seqs(woken), [1, 2, 3]);
  assert.equal(woken.conversations.get("c9").history, "unknown");
  assert.equal(selectors.unread(woken.conversations.get("c9")), 3, "also what is not at hand yet");

  const live = applyAll(woken, message(6, "u2"));
  const joined = { messages: [message(3, "u2"), message(4, "u2"), message(5, "u2")], more: true };
  assert.deepEqual(seqs(model.withNewest(live, "c9", joined)), [1, 2, 3, 4, 5, 6]);
  const beyond = { messages: [message(4, "u2"), message(5, "u2")], more: true };
  assert.deepEqual(seqs(model.withNewest(live, "c9", beyond)), [4, 5, 6], "no hole");
  const other = { messages: [{ ...message(3, "u2"), cid: "another" }, message(4, "u2")], more: true };
  assert.deepEqual(seqs(model.withNewest(woken, "c9", other)), [3, 4], "the log has lost what was said before");
});

test("the creator of a group is its first member, and others see that it can be joined", () => {
  const created = (by) => applyAll(start(), { type: "group_created", id: "1", conversation: "c5", name: "rust", by });
  const mine = created("u1");
  assert.deepEqual([...mine.conversations.get("c5").members], ["u1"]);
  assert.deepEqual(mine.groups.get("c5"), { conversation: "c5", name: "rust", members: 1, joined: true });
  const theirs = created("u2");
  assert.equal(theirs.conversations.has("c5"), false);
  assert.deepEqual(theirs.groups.get("c5"), { conversation: "c5", name: "rust", members: 1, joined: false });
});

test("who joins sees the group from then on, with nothing unread from before", () => {
  const joined = applyAll(
    start({ groups: [{ ...rustGroup, joined: false }] }),
    { type: "group_joined", id: "1", conversation: "c5", name: "rust", members: ["u2", "u3", "u1"], joined_seq: 56 },
    { type: "member_joined", id: "2", conversation: "c5", user: "u1" },
  );
  assert.equal(joined.groups.get("c5").joined, true);
  assert.deepEqual([...joined.conversations.get("c5").members], ["u2", "u3", "u1"]);
  const state = applyAll(joined, message(57, "u2", "welcome", "c5"));
  assert.equal(selectors.unread(state.conversations.get("c5")), 1);
});

test("who joins again keeps what they saw before", () => {
  const before = applyAll(start({ conversations: [rust], groups: [rustGroup] }), message(1, "u2", "hi", "c5"));
  const state = applyAll(
    before,
    { type: "member_left", id: "2", conversation: "c5", user: "u1" },
    { type: "group_joined", id: "3", conversation: "c5", name: "rust", members: ["u1", "u2"], joined_seq: 8 },
    { type: "member_joined", id: "4", conversation: "c5", user: "u1" },
    message(9, "u2", "again", "c5"),
  );
  assert.equal(state.conversations.get("c5").joined, true);
  assert.deepEqual(
    shown(state, "c5").map(([, text]) => text),
    ["hi", "again"],
  );
  assert.equal(selectors.unread(state.conversations.get("c5")), 1);
});

test("who leaves keeps what they saw", () => {
  const state = applyAll(start({ conversations: [rust], groups: [rustGroup] }), message(1, "u2", "hi", "c5"), {
    type: "member_left",
    id: "2",
    conversation: "c5",
    user: "u1",
  });
  assert.equal(state.conversations.get("c5").joined, false);
  assert.equal(state.groups.get("c5").joined, false);
  assert.deepEqual(
    shown(state, "c5").map(([, text]) => text),
    ["hi"],
  );
});

test("counts what others wrote since one read or wrote oneself, at hand or not", () => {
  const read = (state) => selectors.unread(state.conversations.get("c9"));
  const far = start({ conversations: [{ ...direct, last_seq: 80, read_seq: 20 }] });
  assert.equal(read(far), 60);
  const near = applyAll(start({ conversations: [direct] }), message(1, "u2"), message(2, "u2"), message(3, "u2"));
  assert.equal(read(near), 3);
  assert.equal(read(applyAll(near, { type: "read", id: "r", conversation: "c9", seq: 3 })), 0);
  assert.equal(
    read(
      applyAll(
        near,
        { type: "read", id: "r", conversation: "c9", seq: 3 },
        { type: "read", id: "s", conversation: "c9", seq: 1 },
      ),
    ),
    0,
  );
});

test("presence changes those it names", () => {
  const state = applyAll(start(), { type: "presence", online: ["u2"], offline: ["u1", "unknown"] });
  assert.deepEqual(
    [...state.users.values()].map(({ online }) => online),
    [false, true, false],
  );
  assert.equal(applyAll(state, { type: "presence", refetch: true }).users.get("u2").online, true);
});

test("a typing notice lasts six seconds, or until the message", () => {
  const typing = applyAll(start({ conversations: [direct] }), { type: "typing", conversation: "c9", user: "u2" });
  assert.deepEqual([...typing.conversations.get("c9").typing], [["u2", NOW + 6_000]]);
  assert.equal(applyAll(typing, message(1, "u2")).conversations.get("c9").typing.size, 0);
});

test("a message of one's own counts as read, wherever it was sent from, and nothing after it does", () => {
  const unread = (state) => selectors.unread(state.conversations.get("c9"));
  const both = applyAll(start({ conversations: [direct] }), message(1, "u2"), message(2, "u1"), message(3, "u2"));
  assert.equal(both.conversations.get("c9").readSeq, 2);
  assert.equal(unread(both), 1);
  const { type, id, ...stored } = message(4, "u1");
  assert.equal(unread(model.withSent(both, stored, { user: "u2" })), 0);
  const far = start({ conversations: [{ ...direct, last_seq: 3, read_seq: 0 }] });
  const page = { messages: [message(1, "u2"), message(2, "u1"), message(3, "u2")], more: false };
  assert.equal(unread(model.withNewest(far, "c9", page)), 1);
});

/** What stands between the messages of the group c5, as text. */
function linesOf(state) {
  const group = state.conversations.get("c5");
  const seqs = [0, ...group.messages.map(({ seq }) => seq), Infinity];
  return seqs.slice(1).flatMap((seq, index) => [
    ...between(group, seqs[index], seq).map((line) => {
      if ("user" in line) return `${line.user} ${line.joined ? "joined" : "left"}`;
      return `${line.missing} ${line.first ? "before" : "between"}`;
    }),
    ...(seq === Infinity ? [] : [seq]),
  ]);
}

const left = (id, user) => ({ type: "member_left", id, conversation: "c5", user });
const joined = (id, user) => ({ type: "member_joined", id, conversation: "c5", user });
const rejoined = (id, joined_seq) => {
  return { type: "group_joined", id, conversation: "c5", name: "rust", members: ["u1", "u2"], joined_seq };
};

test("who joined and who left stands where it happened", () => {
  const state = applyAll(
    start({ conversations: [rust], groups: [rustGroup] }),
    ...[joined("a", "u3"), message(1, "u2", "hi", "c5"), left("b", "u3"), joined("c", "u3")],
    ...[message(2, "u2", "again", "c5"), left("d", "u2")],
  );
  assert.deepEqual(linesOf(state), ["u3 joined", 1, "u3 left", "u3 joined", 2, "u2 left"]);
});

test("who rejoins sees how much they missed, at once, also when their own message is the next", () => {
  const before = applyAll(start({ conversations: [rust], groups: [rustGroup] }), message(1, "u2", "hi", "c5"));
  const back = applyAll(before, left("a", "u1"), rejoined("b", 8), joined("c", "u1"));
  assert.deepEqual(linesOf(back), [1, "u1 left", "7 between", "u1 joined"]);
  assert.equal(selectors.unread(back.conversations.get("c5")), 0);
  const { type, id, ...stored } = message(9, "u1", "back", "c5");
  const sent = model.withSent(back, stored, { conversation: "c5" });
  assert.deepEqual(linesOf(sent), [1, "u1 left", "7 between", "u1 joined", 9]);
  assert.deepEqual(linesOf(applyAll(sent, message(9, "u1", "back", "c5"))), linesOf(sent));
});

test("who joins sees how much was written before", () => {
  const state = applyAll(start({ groups: [{ ...rustGroup, joined: false }] }), rejoined("a", 57), joined("b", "u1"));
  assert.deepEqual(linesOf(state), ["57 before", "u1 joined"]);
  assert.deepEqual(linesOf(applyAll(state, message(58, "u2", "hi", "c5"))), ["57 before", "u1 joined", 58]);
});

test("after a reload what was missed is still seen, between messages and after the last one", () => {
  const page = (...seqs) => ({ messages: seqs.map((seq) => message(seq, "u2", "hi", "c5")), more: false });
  const reload = (last_seq, joined_seq) =>
    start({ conversations: [{ ...rust, last_seq, read_seq: last_seq, joined_seq }], groups: [rustGroup] });
  assert.deepEqual(linesOf(reload(10, 8)), [], "nothing is missed that has not been read yet");
  assert.deepEqual(linesOf(model.withNewest(reload(10, 8), "c5", page(1, 9, 10))), [1, "7 between", 9, 10]);
  assert.deepEqual(linesOf(model.withNewest(reload(1, 8), "c5", page(1))), [1, "7 between"]);
  assert.deepEqual(linesOf(reload(0, 57)), ["57 before"]);
  const again = model.fromSnapshot(model.toSnapshot(reload(0, 57), "e.7"));
  assert.deepEqual(linesOf(again), ["57 before"], "in a second tab, too");
});

test("what is on its way is not missed", () => {
  const before = applyAll(start({ conversations: [rust], groups: [rustGroup] }), message(1, "u2", "hi", "c5"));
  const { type, id, ...stored } = message(4, "u1", "mine", "c5");
  const sent = model.withSent(before, stored, { conversation: "c5" });
  assert.deepEqual(linesOf(sent), [1, 4], "the reply was quicker than the events before it");
  const rest = [message(2, "u2", "a", "c5"), message(3, "u2", "b", "c5"), message(4, "u1", "mine", "c5")];
  assert.deepEqual(linesOf(applyAll(sent, ...rest)), [1, 2, 3, 4]);
});

test("lines go with the messages that they stand between, and there are never too many", () => {
  let state = start({ conversations: [rust], groups: [rustGroup] });
  for (let seq = 1; seq <= 20; seq += 1) state = applyAll(state, joined(`j${seq}`, "u3"), message(seq, "u2", "hi", "c5"));
  assert.deepEqual(linesOf(trimmed(state, "c5", 2)), [19, "u3 joined", 20]);
  for (let turn = 0; turn < 300; turn += 1) state = applyAll(state, joined(`t${turn}`, "u3"));
  assert.equal(state.conversations.get("c5").notes.length, 100);
});

test("how far back must be read until a reader can go on where they stopped", () => {
  const at = (messages, history) => ({ messages: messages.map((seq) => ({ seq })), history });
  assert.equal(selectors.reachesUnread(at([], "unknown"), 3), false);
  assert.equal(selectors.reachesUnread(at([5, 6], "more"), 3), false);
  assert.equal(selectors.reachesUnread(at([4, 5, 6], "more"), 3), true);
  assert.equal(selectors.reachesUnread(at([4, 5, 6], "loading"), 3), false);
  assert.equal(selectors.reachesUnread(at([9], "complete"), 3), true, "there is no more to be had");
});

test("a message of a conversation that nobody announced is shown all the same", () => {
  const state = applyAll(start(), message(1, "u2", "hi", "c77"));
  assert.deepEqual(
    shown(state, "c77").map(([, text]) => text),
    ["hi"],
  );
});

test("a direct conversation is addressed by its other member", () => {
  const state = start({ conversations: [direct, rust] });
  assert.deepEqual(selectors.addressOf(state.conversations.get("c9")), { user: "u2" });
  assert.deepEqual(selectors.addressOf(state.conversations.get("c5")), { conversation: "c5" });
  assert.equal(selectors.directWith(state, "u2").id, "c9");
});
