/**
 * What travels over every transport, in both directions, as types. Only the type checker loads this file.
 *
 * A transport carries these unchanged, and reads nothing but a reply's `request_id`.
 */

/** @typedef {{id: string, name: string}} User */
/** @typedef {{user: string} | {conversation: string}} To where a message goes: to a person, or into a group */

/**
 * What a client asks.
 * @typedef {(
 *   | {type: "send", to: To, cid: string, text: string}
 *   | {type: "create_group", name: string, cid: string}
 *   | {type: "join_group", conversation: string}
 *   | {type: "leave_group", conversation: string}
 *   | {type: "mark_read", conversation: string, seq: number}
 *   | {type: "typing", conversation: string}
 * )} Command
 */
/** @typedef {{request_id: string, command: Command}} Request a command with the id that its reply names */

/** @typedef {{type: "sent", conversation: string, seq: number, id: string, at: string, duplicate: boolean}} Sent */
/**
 * @typedef {(
 *   | Sent
 *   | {type: "group_created", conversation: string, id: string, duplicate: boolean}
 *   | {type: "joined" | "left", conversation: string, id: string}
 *   | {type: "read"}
 *   | {type: "typing"}
 * )} Ok
 */
/** @typedef {{code: string, message: string, retry_after_ms?: number | null}} Refusal a reply that says no */
/** @typedef {{type: "reply", request_id?: string | null, ok?: Ok, refusal?: Refusal}} Reply what became of a request */

/** @typedef {{conversation: string, seq: number, from: string, cid: string, text: string, at: string}} Message */

/**
 * What happened, and is logged. The id of each is the cursor after it.
 * @typedef {(
 *   | {type: "message", id: string} & Message
 *   | {type: "direct_started", id: string, conversation: string, members: string[]}
 *   | {type: "user_registered", id: string, user: User}
 *   | {type: "group_created", id: string, conversation: string, name: string, by: string}
 *   | {type: "group_joined", id: string, conversation: string, name: string, members: string[], joined_seq?: number}
 *   | {type: "member_joined" | "member_left", id: string, conversation: string, user: string}
 *   | {type: "read", id: string, conversation: string, seq: number}
 * )} LoggedEvent
 */
/**
 * What is true only now, and is not logged.
 * @typedef {(
 *   | {type: "presence", online?: string[], offline?: string[], refetch?: boolean}
 *   | {type: "typing", conversation: string, user: string}
 * )} PassingEvent
 */
/**
 * What the server says about the connection itself.
 * @typedef {(
 *   | {type: "tick", cursor: string}
 *   | {type: "reset", reason: "expired" | "unknown"}
 *   | {type: "close"} & Closing
 * )} Control
 */
/** @typedef {LoggedEvent | PassingEvent | Control} Event */
/** @typedef {{code: number, name: string, reconnect: boolean}} Closing how it ended, and whether to reconnect */

/** @typedef {User & {online: boolean}} Person */
/** @typedef {{conversation: string, name: string, members: number, joined: boolean}} Group */
/**
 * @typedef {object} ConversationSummary
 * @property {string} id
 * @property {"direct" | "group"} kind
 * @property {string} [name] a group's
 * @property {string} [with] the other member of a direct conversation
 * @property {string[]} members
 * @property {number} last_seq
 * @property {number} read_seq
 * @property {boolean} joined
 * @property {number} [joined_seq] the newest message from before the reader last joined
 */
/**
 * Everything a client needs to start, and the cursor from which events continue it.
 * @typedef {object} Snapshot
 * @property {string} cursor
 * @property {User} me
 * @property {Person[]} users
 * @property {Group[]} groups
 * @property {ConversationSummary[]} conversations
 */
/** @typedef {{messages: Message[], more: boolean}} Page a part of a conversation, by rising seq */
/** @typedef {string} TransportName such as "websocket" */
/**
 * One transport of this launch, as its server lists it.
 * @typedef {object} ServerAddress
 * @property {TransportName} name
 * @property {number} port on the host that the page came from
 * @property {string} title its name within a sentence, such as "Server-Sent Events"
 * @property {string} label its short name, such as "SSE"
 * @property {string} server the program that serves it
 * @property {string} about how it works, in one sentence
 */

export {};
