/**
 * What the page keeps and passes around, as types: only the type checker loads this file.
 */

/** @import { Closing, Command, Event, LoggedEvent, Message, PassingEvent, Person, Refusal, Reply, Request } from "./protocol.js" */
/** @import { ConversationSummary, Group, Sent, ServerAddress, Snapshot, To, TransportName, User } from "./protocol.js" */

/** @typedef {{transport: TransportName, why: "blocked" | "gone"}} Avoided the transport that was given up, and why */
/**
 * The state of a connection.
 * @typedef {object} Status
 * @property {"connecting" | "live" | "waiting" | "offline" | "ended"} state
 *   `waiting` and `offline`: an attempt follows at `retryAt`; `ended`: none follows by itself
 * @property {TransportName} transport
 * @property {Closing | null} closing why the last connection ended
 * @property {number | null} lostAt when it was last live, in `Date.now()` milliseconds; null while it is
 * @property {number | null} retryAt when the next attempt is due
 * @property {boolean} unanswering whether a reply is overdue on an open connection
 * @property {number} failures attempts in a row in which this transport did not open
 * @property {boolean} starting whether a snapshot has to come first
 * @property {boolean} blocked whether its server answers requests although this transport did not open
 * @property {Avoided | null} avoided the user's choice, if this page fell back to another by itself
 */
/**
 * What uses a connection.
 * @typedef {object} Client
 * @property {() => Promise<Snapshot>} loadSnapshot
 * @property {(base: string) => Promise<boolean>} [answers] whether a server answers plain requests;
 *   without it, `ladder.js` asks
 * @property {(snapshot: Snapshot) => void} onSnapshot this replaces everything known before
 * @property {(event: LoggedEvent | PassingEvent) => void} onEvent
 * @property {(status: Status) => void} onStatus
 * @property {(record: WireRecord) => void} [onRecord] what passes on the wire, for people
 */
/**
 * A message that is not acknowledged.
 * @typedef {object} Entry
 * @property {string} cid
 * @property {To} to
 * @property {string} text
 * @property {string} at when it was written
 * @property {number} order rises with each entry
 * @property {"queued" | "sending" | "failed"} state
 * @property {Refusal | null} refusal why it failed
 * @property {number} notBefore when the next attempt may be made
 * @property {number} since when it was written, or when its writer last asked for another attempt
 */
/** @typedef {{cid: string, entry: Entry | null, sent?: Sent}} Change for other tabs; no entry: sent or discarded */
/** @typedef {{after: number, user: string, joined: boolean}} Note who joined or left, and after which `seq` */
/**
 * @typedef {object} Conversation
 * @property {string} id
 * @property {"direct" | "group"} kind
 * @property {string} name a group's; empty for a direct conversation
 * @property {string | null} with the other member of a direct conversation
 * @property {ReadonlySet<string>} members
 * @property {boolean} joined
 * @property {number} lastSeq of the newest message known to exist
 * @property {number} readSeq up to where this user has read
 * @property {number} joinedSeq of the newest message from before this user joined, which they may not see
 * @property {number} wholeSeq from the first loaded message up to here, everything that this user may see is
 *   loaded; -1: that is not known yet
 * @property {readonly Message[]} messages the loaded ones, by rising seq
 * @property {readonly Note[]} notes who joined and left while this page was open; the history lacks that
 * @property {"unknown" | "loading" | "more" | "complete" | "damaged"} history whether older messages can be loaded
 * @property {ReadonlyMap<string, number>} typing until when each member counts as typing
 * @property {number} activity rises with each message anywhere, so that the newest conversation sorts first
 */
/**
 * What a signed-in user can see.
 * @typedef {object} State
 * @property {User} me
 * @property {ReadonlyMap<string, Person>} users
 * @property {ReadonlyMap<string, Group>} groups every group, joined or not; the members are known of one's own only
 * @property {ReadonlyMap<string, Conversation>} conversations
 * @property {ReadonlySet<string>} applied ids of the newest events
 * @property {number} activity
 */
/**
 * One row of a conversation as it is shown: a stored message, or one that is still on its way.
 * @typedef {object} Row
 * @property {string} key the same before and after a message of one's own is stored, so that it stays in place
 * @property {string} from
 * @property {string} text
 * @property {string} at
 * @property {number | null} seq
 * @property {Entry | null} entry what the outbox knows of a message that is not stored yet
 */
/**
 * Something that passed, as a transport sees it.
 * @typedef {object} WireRecord
 * @property {"up" | "down" | "end"} direction
 * @property {string} what in words: "message", "event", "POST /api/commands", "answer 200", "close 1006"
 * @property {string} [text] what was in it, as far as a script can see
 * @property {number} [ms] how long it took, if it answers something
 * @property {Closing} [closing] why it ended, if that is known
 */
/** @typedef {WireRecord & {number: number, at: number, text: string, over: TransportName}} Seen with its time */
/** @typedef {Status & {leading: boolean}} SharedStatus `leading`: this tab holds the connection */
/**
 * @typedef {Omit<Client, "onStatus"> & {
 *   onStatus: (status: SharedStatus) => void,
 *   snapshot: (cursor: string) => Snapshot,
 *   onNote: (note: any) => void,
 * }} SharedClient
 *   `snapshot`: what the server's would be now, for a new tab; `onNote`: what another tab tells
 */
/** @typedef {{leader: string, cursor: string | null, count: number}} Lead which tab leads, and its place */
/**
 * What tabs say to each other.
 * @typedef {(
 *   | {type: "hello", from: string, fresh: boolean}
 *   | {type: "request", from: string, id: number, command: Command}
 *   | {type: "switch", transport: TransportName}
 *   | {type: "retry"}
 *   | {type: "note", note: unknown}
 *   | {type: "reply", to: string, id: number, reply: Reply | null}
 *   | {type: "here", to: string, hidden: boolean} & Lead
 *   | {type: "status", status: Status} & Lead
 *   | {type: "snapshot", to: string | null, snapshot: Snapshot} & Lead
 *   | {type: "event", event: LoggedEvent | PassingEvent} & Lead
 * )} TabMessage
 */
/**
 * What the banner has to say.
 * @typedef {object} Banner
 * @property {Status} status
 * @property {ServerAddress[]} servers
 * @property {{messages: number} | null} caughtUp what came after a loss that has just ended
 * @property {string} problem something else that went wrong
 * @property {number} now
 */
/**
 * What is shown of a conversation.
 * @typedef {object} ConversationView
 * @property {State} state
 * @property {Conversation | undefined} conversation
 * @property {Person | undefined} person with whom a conversation may begin, where there is none yet
 * @property {readonly Entry[]} entries what is on its way to this conversation
 * @property {number} newAfter the last seq that had been read when the conversation was opened
 * @property {number} below how many unread messages stand below the reader
 * @property {typeof import("./views/late.js") | null} late the views that are loaded late
 * @property {string} draft
 * @property {boolean} leaving whether the user has been asked if they really want to leave
 * @property {boolean} cutOff whether presence is unknown, because there is no connection
 * @property {number} now
 */
/**
 * What is shown of groups and people.
 * @typedef {object} Sidebar
 * @property {State} state
 * @property {boolean} loaded whether a snapshot has come
 * @property {boolean} cutOff whether presence is unknown, because there is no connection
 * @property {string | null} selected the conversation that is open, or the user whose conversation has not begun
 * @property {string} filter
 * @property {string | null} joining the group that is being joined
 * @property {boolean} creating whether a group is being made
 * @property {unknown} form the form that makes it
 * @property {unknown} nobody what to say if there are no people
 */
/**
 * What an outbox needs.
 * @typedef {object} Surroundings
 * @property {Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">} storage
 * @property {string} user whose messages these are
 * @property {(command: Command) => Promise<Reply>} send fails if no reply comes
 * @property {(entry: Entry, sent: Sent) => void} onSent
 * @property {() => void} onChange
 * @property {(change: Change) => void} [share] tells the other tabs
 * @property {() => number} [now]
 * @property {(run: () => void, ms: number) => void} [later]
 * @property {import("./backoff.js").Backoff} [backoff]
 */
/**
 * What a user can do in the banner.
 * @typedef {object} BannerActions
 * @property {() => void} tryNow
 * @property {() => void} signInAgain
 * @property {(transport: TransportName) => void} choose
 * @property {() => void} dismiss
 */
/**
 * What a user can do in a conversation.
 * @typedef {object} ConversationActions
 * @property {(text: string) => void} say
 * @property {(text: string) => void} draft
 * @property {(cid: string) => void} retry
 * @property {(cid: string) => void} discard
 * @property {(ask: boolean) => void} askLeave
 * @property {() => void} leave
 * @property {() => void} join
 * @property {() => void} toBottom
 */
/**
 * What a user can do in the sidebar.
 * @typedef {object} SidebarActions
 * @property {(text: string) => void} filter
 * @property {(id: string) => void} join
 * @property {(open: boolean) => void} openNewGroup
 * @property {(name: string) => void} createGroup
 */
/**
 * One connection: opened once, at a cursor, and closed once.
 * @typedef {object} Transport
 * @property {(cursor: string) => void} open asks for everything after the cursor, from now on
 * @property {(request: Request) => Promise<Reply>} send fails with {@link Unanswered} if no reply comes
 * @property {() => void} close ends it from this side; the observer gets no further call
 */
/**
 * What a transport calls when something happens.
 * @typedef {object} Observer
 * @property {() => void} onOpen the server is there; polling says so with each answer
 * @property {(event: Event) => void} onEvent
 * @property {(closing: Closing) => void} onClose the server or the network has ended it
 * @property {(record: WireRecord) => void} onRecord something passed, for people to look at
 */
/** @typedef {new (base: string, observer: Observer) => Transport} TransportClass */
/**
 * The page, as the chat sees it.
 * @typedef {object} Page
 * @property {() => void} onChange something visible has changed
 * @property {(event: LoggedEvent | PassingEvent) => void} onEvent an event has been applied
 * @property {() => void} onSnapshot the state was replaced as a whole
 * @property {(me: User) => void} onOtherUser another user has signed in with this browser
 */
/**
 * What the page calls when this user is no longer signed in.
 * @typedef {object} Entrance
 * @property {(reason: string) => void} leave
 * @property {(user: User) => void} onOtherUser another user has signed in with this browser
 */
/**
 * What the page knows beside the chat: what is open, half written, or half decided.
 * @typedef {object} Ui
 * @property {string} filter
 * @property {string | null} open the address of the open conversation as it was last drawn, as one text
 * @property {number} newAfter the last seq that had been read when it was opened
 * @property {string | null} goingTo the conversation that the user waits for: it opens when it is here
 * @property {boolean} leaving whether the user has been asked if they really want to leave
 * @property {{open: boolean, busy: boolean, error: string}} newGroup
 * @property {string | null} joining the group that is being joined
 * @property {number | null} lostAt when the connection was last live; null while it is
 * @property {{messages: number, until: number} | null} caughtUp what came after a loss that has just ended
 * @property {string} problem
 * @property {string} alert what a screen reader says at once
 * @property {number} failed how many messages have failed
 */
/**
 * What the page's address names.
 * @typedef {object} Opened
 * @property {string} id
 * @property {Conversation | undefined} conversation
 * @property {Person | undefined} person the other one, even before a conversation has begun
 * @property {To | null} to where messages go; null: it names nothing
 * @property {string | null} key `to` as one text
 */
/**
 * What the frame holds.
 * @typedef {object} Parts
 * @property {string} me the user's name
 * @property {boolean} open whether a conversation is open; a narrow page then shows it alone
 * @property {unknown} transport
 * @property {unknown} banner
 * @property {unknown} sidebar
 * @property {unknown} conversation
 * @property {string} announcement what a screen reader says when it has time
 * @property {string} alert what it says at once
 */
/** @typedef {Pick<ConversationSummary, "id" | "kind" | "name" | "with" | "members">} Founding of a conversation that begins */

export {};
