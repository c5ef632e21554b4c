/**
 * What the page keeps and passes around, as types: only the type checker loads this file.
 */

/** @import { Closing, Command, Event, LoggedEvent, Message, PassingEvent, Person, Refusal, Reply, Request } from "./protocol.js" */
/** @import { ConversationSummary, Group, Sent, ServerAddress, Snapshot, To, TransportName, User } from "./protocol.js" */

/** @typedef {{transport: TransportName, why: "blocked" | "gone"}} Avoided left because it did not open */
/**
 * How it stands with a connection.
 * @typedef {object} Status
 * @property {"connecting" | "live" | "waiting" | "offline" | "ended"} state
 *   `waiting` and `offline`: an attempt follows at `retryAt`; `ended`: none does by itself
 * @property {TransportName} transport
 * @property {Closing | null} closing why the last connection ended
 * @property {number | null} lostAt when it was last live, in `Date.now()` milliseconds; null while it is
 * @property {number | null} retryAt when the next attempt is due
 * @property {boolean} unanswering whether a reply is overdue although the connection stands
 * @property {number} failures attempts in a row in which this transport did not open
 * @property {boolean} starting whether a snapshot has to come first
 * @property {boolean} blocked whether its server answers requests although this transport did not open
 * @property {Avoided | null} avoided what the user chose, where this page went on with another by itself
 */
/**
 * Whoever the connection is for.
 * @typedef {object} Client
 * @property {() => Promise<Snapshot>} loadSnapshot
 * @property {(base: string) => Promise<boolean>} [answers] whether a server answers plain requests, where that is not asked
 * @property {(snapshot: Snapshot) => void} onSnapshot everything known before is replaced by this
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
 * @property {number} order rises from entry to entry
 * @property {"queued" | "sending" | "failed"} state
 * @property {Refusal | null} refusal why it failed
 * @property {number} notBefore when the next attempt may be made
 * @property {number} since when it was written, or when its writer last asked for another attempt
 */
/** @typedef {{cid: string, entry: Entry | null, sent?: Sent}} Change for the other tabs; no entry: it is done with */
/** @typedef {{after: number, user: string, joined: boolean}} Note that somebody joined or left, after which `seq` */
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
 * @property {number} wholeSeq up to here everything that this user may see is at hand, from the first message at hand
 *   on; -1: that is not known yet
 * @property {readonly Message[]} messages those at hand, by rising seq
 * @property {readonly Note[]} notes who joined and left while this page was open; the history does not tell it
 * @property {"unknown" | "loading" | "more" | "complete" | "damaged"} history whether older messages can be had
 * @property {ReadonlyMap<string, number>} typing until when each member counts as typing
 * @property {number} activity rises with each message anywhere, so that the liveliest conversation sorts first
 */
/**
 * What a signed-in user can see.
 * @typedef {object} State
 * @property {User} me
 * @property {ReadonlyMap<string, Person>} users
 * @property {ReadonlyMap<string, Group>} groups every group, joined or not; who is in it is known of one's own alone
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
 * Something that passed, as a transport tells it.
 * @typedef {object} WireRecord
 * @property {"up" | "down" | "end"} direction
 * @property {string} what in words: "message", "event", "POST /api/commands", "answer 200", "close 1006"
 * @property {string} [text] what was in it, as far as a script can see
 * @property {number} [ms] how long it took, where it answers something
 * @property {Closing} [closing] why it ended, where that is known
 */
/** @typedef {WireRecord & {number: number, at: number, text: string, over: TransportName}} Seen with its time */
/** @typedef {Status & {leading: boolean}} SharedStatus `leading`: this tab holds the connection */
/**
 * @typedef {Omit<Client, "onStatus"> & {
 *   onStatus: (status: SharedStatus) => void,
 *   snapshot: (cursor: string) => Snapshot,
 *   onNote: (note: any) => void,
 * }} SharedClient
 *   `snapshot`: what the server's would be by now, for a new tab; `onNote`: what another tab tells
 */
/** @typedef {{leader: string, cursor: string | null, count: number}} Lead who leads, and how far they have come */
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
 * @property {number} below how many unread messages stand further down than the reader
 * @property {typeof import("./views/late.js") | null} late the views that are loaded late
 * @property {string} draft
 * @property {boolean} leaving whether the user has been asked if they really want to leave
 * @property {boolean} cutOff whether there is no connection by which to know who is online
 * @property {number} now
 */
/**
 * What is shown of groups and people.
 * @typedef {object} Sidebar
 * @property {State} state
 * @property {boolean} loaded whether it is known who is there
 * @property {boolean} cutOff whether there is no connection by which to know who still is
 * @property {string | null} selected the conversation that is open, or the user whose conversation has not begun
 * @property {string} filter
 * @property {string | null} joining the group that is being joined
 * @property {boolean} creating whether a group is being made
 * @property {unknown} form with which it is made
 * @property {unknown} nobody what to say where there is nobody
 */
/**
 * What an outbox stands on.
 * @typedef {object} Surroundings
 * @property {Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">} storage
 * @property {string} user whose messages these are
 * @property {(command: Command) => Promise<Reply>} send fails where no reply came
 * @property {(entry: Entry, sent: Sent) => void} onSent
 * @property {() => void} onChange
 * @property {(change: Change) => void} [share] tells the other tabs
 * @property {() => number} [now]
 * @property {(run: () => void, ms: number) => void} [later]
 * @property {import("./backoff.js").Backoff} [backoff]
 */
/**
 * What can be done there.
 * @typedef {object} BannerActions
 * @property {() => void} tryNow
 * @property {() => void} signInAgain
 * @property {(transport: TransportName) => void} choose
 * @property {() => void} dismiss
 */
/**
 * What can be done there.
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
 * What can be done there.
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
 * @property {(request: Request) => Promise<Reply>} send fails with {@link Unanswered} where no reply came
 * @property {() => void} close ends it from this side; the observer hears nothing more
 */
/**
 * Whoever listens to a transport.
 * @typedef {object} Observer
 * @property {() => void} onOpen the server is there; a poll says so with every answer
 * @property {(event: Event) => void} onEvent
 * @property {(closing: Closing) => void} onClose it has ended from the other side, or on the way
 * @property {(record: WireRecord) => void} onRecord something passed, for people to look at
 */
/** @typedef {new (base: string, observer: Observer) => Transport} TransportClass */
/**
 * The page, as the chat sees it.
 * @typedef {object} Page
 * @property {() => void} onChange something that can be seen is different
 * @property {(event: LoggedEvent | PassingEvent) => void} onEvent an event has been applied
 * @property {() => void} onSnapshot the state was replaced as a whole
 * @property {(me: User) => void} onOtherUser somebody else has signed in with this browser since
 */
/**
 * Who is told when this user is no longer signed in here.
 * @typedef {object} Entrance
 * @property {(reason: string) => void} leave
 * @property {(user: User) => void} onOtherUser somebody else has signed in with this browser since
 */
/**
 * What the page knows beside the chat: what is open, half written, or half decided.
 * @typedef {object} Ui
 * @property {string} filter
 * @property {string | null} open the address of the open conversation as it was last drawn, as one text
 * @property {number} newAfter the last seq that had been read when it was opened
 * @property {string | null} goingTo what the user waits for, to go on there as soon as it is here
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
 * What the address names.
 * @typedef {object} Opened
 * @property {string} id
 * @property {Conversation | undefined} conversation
 * @property {Person | undefined} person the other one, also where no conversation has begun
 * @property {To | null} to where messages go; null: it names nothing
 * @property {string | null} key `to` as one text
 */
/**
 * What the frame holds.
 * @typedef {object} Parts
 * @property {string} me the user's name
 * @property {boolean} open whether a conversation is open; where there is room for one pane only, it is that one
 * @property {unknown} transport
 * @property {unknown} banner
 * @property {unknown} sidebar
 * @property {unknown} conversation
 * @property {string} announcement what a screen reader says when it has time
 * @property {string} alert what it says at once
 */
/** @typedef {Pick<ConversationSummary, "id" | "kind" | "name" | "with" | "members">} Founding of a conversation that begins */

export {};
