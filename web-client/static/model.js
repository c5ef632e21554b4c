/**
 * What a signed-in user can see, as a value: a snapshot and the events after it make one state.
 *
 * Pure functions; each returns a new state and leaves the old one as it was.
 * An event may come twice, after a switch of transport or a lost answer. The second time changes nothing.
 */

/** @import { ConversationSummary, LoggedEvent, Message, Page } from "./protocol.js" */
/** @import { PassingEvent, Person, Snapshot, To, User } from "./protocol.js" */
/** @import { Conversation, Founding, Note, State } from "./types.js" */

/** How long a typing notice is shown. */
export const TYPING_MS = 6_000;
/** How many lines about joining and leaving a conversation keeps. */
const MAX_NOTES = 100;
/** The `wholeSeq` until the newest messages are loaded: what is missing is unknown. */
const NOT_AT_HAND = -1;
/** How many event ids are remembered to recognise one that comes twice: more than any answer repeats. */
const REMEMBERED_IDS = 4_096;

/** @param {User} me @returns {State} */
export function empty(me) {
  return { me, users: new Map(), groups: new Map(), conversations: new Map(), applied: new Set(), activity: 0 };
}

/** The state at a snapshot. Loaded messages stay in sight until the newest ones are loaded.
 * @param {Snapshot} snapshot @param {State} [before] @returns {State} */
export function fromSnapshot(snapshot, before = empty(snapshot.me)) {
  const conversations = snapshot.conversations.map((summary, index) => {
    const conversation = fromSummary(summary, index);
    const known = before.conversations.get(summary.id);
    const messages = conversation.history === "unknown" ? known?.messages : undefined;
    return /** @type {const} */ ([summary.id, { ...conversation, messages: messages ?? [], notes: known?.notes ?? [] }]);
  });
  return {
    ...empty(snapshot.me),
    users: new Map(snapshot.users.map((user) => [user.id, user])),
    groups: new Map(snapshot.groups.map((group) => [group.conversation, group])),
    conversations: new Map(conversations),
    activity: conversations.length,
  };
}

/** What the server's snapshot would be at this state.
 * @param {State} state @param {string} cursor @returns {Snapshot} */
export function toSnapshot(state, cursor) {
  const conversations = [...state.conversations.values()].sort((a, b) => a.activity - b.activity);
  return {
    cursor,
    me: state.me,
    users: [...state.users.values()],
    groups: [...state.groups.values()],
    conversations: conversations.map(({ id, kind, name, with: other, members, joined, lastSeq, readSeq, joinedSeq }) => ({
      ...(kind === "group" ? { id, kind, name } : { id, kind, with: other ?? "" }),
      members: [...members],
      last_seq: lastSeq,
      read_seq: readSeq,
      joined,
      joined_seq: joinedSeq,
    })),
  };
}

/**
 * The state after an event.
 * @param {State} state
 * @param {LoggedEvent | PassingEvent} event
 * @param {number} now `Date.now()`, which only typing notices use
 * @returns {State}
 */
export function apply(state, event, now) {
  if (!("id" in event)) return passing(state, event, now);
  if (state.applied.has(event.id)) return state;
  return { ...logged(state, event), applied: remember(state.applied, event.id) };
}

/** @param {State} state @param {LoggedEvent} event @returns {State} */
function logged(state, event) {
  switch (event.type) {
    case "message":
      return change(withMessage(state, event), event.conversation, ({ wholeSeq, typing }) => ({
        wholeSeq: raised(wholeSeq, event.seq),
        typing: without(typing, event.from),
      }));
    case "user_registered":
      if (state.users.has(event.user.id)) return state;
      return { ...state, users: put(state.users, event.user.id, { ...event.user, online: false }) };
    case "direct_started": {
      if (state.conversations.has(event.conversation)) return state;
      const other = event.members.find((member) => member !== state.me.id) ?? state.me.id;
      return begun(state, { id: event.conversation, kind: "direct", with: other, members: event.members });
    }
    case "group_created": {
      const joined = event.by === state.me.id;
      const group = { conversation: event.conversation, name: event.name, members: 1, joined };
      const listed = { ...state, groups: put(state.groups, event.conversation, group) };
      if (!joined || state.conversations.has(event.conversation)) return listed;
      return begun(listed, { id: event.conversation, kind: "group", name: event.name, members: [event.by] });
    }
    case "group_joined": {
      const { conversation: id, members, joined_seq: before = 0 } = event;
      const known = state.conversations.get(id);
      const listed = known
        ? withConversation(state, { ...known, members: new Set(members) })
        : begun(state, { id, kind: "group", name: event.name, members });
      // This user may not see the messages from before.
      return change(listed, id, ({ readSeq, wholeSeq }) => ({
        joinedSeq: before,
        readSeq: Math.max(readSeq, before),
        wholeSeq: raised(wholeSeq, before),
      }));
    }
    case "member_joined":
      return withMember(state, event.conversation, event.user, true);
    case "member_left":
      return withMember(state, event.conversation, event.user, false);
    case "read":
      return read(state, event.conversation, event.seq);
  }
}

/** @param {State} state @param {PassingEvent} event @param {number} now @returns {State} */
function passing(state, event, now) {
  if (event.type === "typing") {
    const conversation = state.conversations.get(event.conversation);
    if (!conversation || event.user === state.me.id) return state;
    return withConversation(state, { ...conversation, typing: put(conversation.typing, event.user, now + TYPING_MS) });
  }
  const users = new Map(state.users);
  for (const [ids, online] of /** @type {const} */ ([
    [event.online ?? [], true],
    [event.offline ?? [], false],
  ])) {
    for (const id of ids) {
      const user = users.get(id);
      if (user) users.set(id, { ...user, online });
    }
  }
  return { ...state, users };
}

/** A message that is known to be stored.
 * @param {State} state
 * @param {Message} message
 * @returns {State} */
function withMessage(state, message) {
  const { id, conversation: conversationId, ...rest } = /** @type {Message & {id?: string}} */ (message);
  // A conversation's event comes before its first message. Without it, the message is shown rather than lost.
  const conversation =
    state.conversations.get(conversationId) ??
    fromSummary(beginning({ id: conversationId, kind: "group", name: conversationId, members: [] }), 0);
  const messages = insert(conversation.messages, [{ conversation: conversationId, ...rest }]);
  if (messages === conversation.messages) return state;
  const activity = state.activity + 1;
  const lastSeq = Math.max(conversation.lastSeq, message.seq);
  const readSeq = readByWriting(state, conversation.readSeq, [message]);
  return { ...withConversation(state, { ...conversation, messages, activity, lastSeq, readSeq }), activity };
}

/** One's own message counts as read, with all above it, wherever it was sent from.
 * @param {State} state @param {number} readSeq @param {readonly Message[]} messages */
function readByWriting({ me }, readSeq, messages) {
  return Math.max(readSeq, messages.findLast(({ from }) => from === me.id)?.seq ?? 0);
}

/** Adds one's own message when it is acknowledged, before or after its event.
 * The reply to a retry may name a message from before the loaded ones: added there, it would leave a hole.
 * @param {State} state
 * @param {Message} message
 * @param {To} to where it was sent: with the first message to a person, a conversation begins
 * @returns {State} */
export function withSent(state, message, to) {
  const conversation = state.conversations.get(message.conversation);
  if (!conversation) {
    if (!("user" in to)) return state;
    const founding = { id: message.conversation, with: to.user, members: [state.me.id, to.user] };
    return withMessage(begun(state, { ...founding, kind: "direct" }), message);
  }
  const first = conversation.messages[0]?.seq ?? conversation.lastSeq + 1;
  return message.seq < first ? state : withMessage(state, message);
}

/** Adds a page of history before the loaded messages.
 * @param {State} state
 * @param {string} conversationId
 * @param {Page} page
 * @returns {State} */
export function withPage(state, conversationId, page) {
  return change(state, conversationId, (conversation) => {
    const messages = insert(conversation.messages, page.messages);
    const lastSeq = Math.max(conversation.lastSeq, messages.at(-1)?.seq ?? 0);
    const readSeq = readByWriting(state, conversation.readSeq, page.messages);
    const wholeSeq = Math.max(conversation.wholeSeq, conversation.joinedSeq, page.messages.at(-1)?.seq ?? 0);
    return { messages, lastSeq, readSeq, wholeSeq, history: page.more ? "more" : "complete" };
  });
}

/** Adds the newest messages. Loaded older ones stay only if the new ones go on from them.
 * @param {State} state
 * @param {string} conversationId
 * @param {Page} page
 * @returns {State} */
export function withNewest(state, conversationId, page) {
  const [first] = page.messages;
  const newest = page.messages.at(-1)?.seq ?? 0;
  const fitting = change(state, conversationId, ({ messages }) => {
    const goesOn = messages.some(({ seq, cid }) => seq === first?.seq && cid === first.cid);
    return { messages: messages.filter(({ seq }) => seq > newest || (goesOn && seq < first.seq)) };
  });
  return withPage(fitting, conversationId, page);
}

/** @param {State} state @param {string} conversationId @param {Conversation["history"]} history @returns {State} */
export function withHistory(state, conversationId, history) {
  return change(state, conversationId, () => ({ history }));
}

/** All users, read again. @param {State} state @param {Person[]} users @returns {State} */
export function withUsers(state, users) {
  return { ...state, users: new Map(users.map((user) => [user.id, user])) };
}

/** @param {State} state @param {string} conversationId @param {number} seq @returns {State} */
export function read(state, conversationId, seq) {
  return change(state, conversationId, ({ readSeq }) => ({ readSeq: Math.max(readSeq, seq) }));
}

/** @param {number} wholeSeq @param {number} seq */
const raised = (wholeSeq, seq) => (wholeSeq === NOT_AT_HAND ? wholeSeq : Math.max(wholeSeq, seq));

/** Messages by rising seq with more of them put in; the same array if all were there already.
 * @param {readonly Message[]} messages
 * @param {readonly Message[]} more
 * @returns {readonly Message[]} */
function insert(messages, more) {
  const newest = messages.at(-1)?.seq ?? 0;
  if (more.length === 1 && more[0].seq > newest) return [...messages, more[0]];
  const seqs = new Set(messages.map(({ seq }) => seq));
  const added = more.filter(({ seq }) => !seqs.has(seq));
  if (added.length === 0) return messages;
  return [...messages, ...added].sort((a, b) => a.seq - b.seq);
}

/** @param {State} state @param {string} conversationId @param {string} user @param {boolean} joined @returns {State} */
function withMember(state, conversationId, user, joined) {
  const mine = user === state.me.id;
  const known = state.conversations.get(conversationId);
  const group = state.groups.get(conversationId);
  let next = state;
  if (known) {
    const members = new Set(known.members);
    if (joined) members.add(user);
    else members.delete(user);
    /** @type {Note} */
    const note = { after: Math.max(known.lastSeq, known.joinedSeq), user, joined };
    const notes = [...known.notes, note].slice(-MAX_NOTES);
    next = withConversation(next, { ...known, joined: mine ? joined : known.joined, members, notes });
  }
  return mine && group ? { ...next, groups: put(state.groups, conversationId, { ...group, joined }) } : next;
}

/** @param {Founding} founding @returns {ConversationSummary} */
const beginning = (founding) => ({ ...founding, last_seq: 0, read_seq: 0, joined: true });

/** A conversation that begins now. @param {State} state @param {Founding} founding */
function begun(state, founding) {
  return withConversation(state, fromSummary(beginning(founding), state.activity + 1));
}

/** @param {ConversationSummary} summary @param {number} activity @returns {Conversation} */
function fromSummary(summary, activity) {
  return {
    id: summary.id,
    kind: summary.kind,
    name: summary.name ?? "",
    with: summary.with ?? null,
    members: new Set(summary.members),
    joined: summary.joined,
    lastSeq: summary.last_seq,
    readSeq: summary.read_seq,
    joinedSeq: summary.joined_seq ?? 0,
    wholeSeq: summary.last_seq === 0 ? (summary.joined_seq ?? 0) : NOT_AT_HAND,
    messages: [],
    notes: [],
    history: summary.last_seq === 0 ? "complete" : "unknown",
    typing: new Map(),
    activity,
  };
}

/** @param {State} state @param {Conversation} conversation @returns {State} */
function withConversation(state, conversation) {
  return { ...state, conversations: put(state.conversations, conversation.id, conversation) };
}

/**
 * @param {State} state
 * @param {string} id
 * @param {(conversation: Conversation) => Partial<Conversation>} how
 * @returns {State}
 */
export function change(state, id, how) {
  const conversation = state.conversations.get(id);
  return conversation ? withConversation(state, { ...conversation, ...how(conversation) }) : state;
}

/** @template K, V @param {ReadonlyMap<K, V>} map @param {K} key @param {V} value @returns {ReadonlyMap<K, V>} */
function put(map, key, value) {
  return new Map(map).set(key, value);
}

/** @template K, V @param {ReadonlyMap<K, V>} map @param {K} key @returns {ReadonlyMap<K, V>} */
function without(map, key) {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

/** @param {ReadonlySet<string>} ids @param {string} id @returns {ReadonlySet<string>} */
function remember(ids, id) {
  const all = new Set(ids).add(id);
  for (const oldest of all) {
    if (all.size <= REMEMBERED_IDS) break;
    all.delete(oldest);
  }
  return all;
}
