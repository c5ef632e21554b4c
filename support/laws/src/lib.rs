//! The laws: what every transport promises, run unchanged on each.
//!
//! They are the numbered requirements of `docs/protocol.md`. A transport's own test is a few lines:
//!
//! ```text
//! //! The laws, on this transport, both ways.
//!
//! laws::conformance_tests!(ws_server::WsServer);
//!
//! mod plain {
//!     laws::conformance_tests!(chat_http::Plain<ws_server::WsServer>);
//! }
//! ```
//!
//! A new law is a function here and a line in [`conformance_tests`], so no transport can leave it out. Programs that
//! are not tests, such as benches, get the same list from [`every_law`].

pub mod laws;
mod raw;
mod test_server;

use chat_http::Server;
use tokio::runtime::Builder;

pub use raw::Raw;
pub use test_server::{Ask, PATIENCE, TestConnection, TestServer, TestUser};

/// One law for one kind of server.
#[derive(Clone, Copy)]
pub struct Law {
    /// Its group and name: `cursor::resumes_after_the_cursor`.
    pub name: &'static str,
    /// Opens a server of its own and blocks until the law has held; panics if it is broken.
    pub check: fn(),
}

/// All laws for one kind of server, in the order of the list.
#[must_use]
pub fn every_law<S: Server>() -> Vec<Law> {
    crate::conformance_tests! { list of S }
}

/// The names of all laws, in the order of the requirements.
const NAMES: &[&str] = &conformance_tests! { names of () };

/// The requirement that a law tests. When the law fails, this prints the requirement's number.
#[doc(hidden)]
pub struct Requirement(usize);

impl Requirement {
    /// The requirement of a law.
    #[must_use]
    pub fn of(law: &str) -> Self {
        Self(NAMES.iter().position(|name| *name == law).map_or(0, |place| place + 1))
    }
}

impl Drop for Requirement {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("This law is requirement R{}: see docs/protocol.md#requirements.", self.0);
        }
    }
}

/// Runs a law as a test would: on a runtime with two threads of its own. All its tasks end with it.
fn block_on(law: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads for a law").block_on(law);
}

/// Makes one test of each law for a [`Server`](chat_http::Server).
#[macro_export]
macro_rules! conformance_tests {
    ($server:ty) => { $crate::conformance_tests! { tests of $server } };
    ($product:ident of $server:ty) => {
        $crate::conformance_tests! { $product of $server;
            delivery: delivers_a_direct_message_to_both_ends;
            delivery: delivers_a_group_message_to_every_member_and_to_nobody_else;
            delivery: gives_the_sender_their_own_message_with_its_cid;
            delivery: keeps_one_order_for_many_senders_at_once;
            delivery: keeps_the_order_in_which_one_client_asked;
            delivery: carries_any_text_unchanged;
            delivery: serves_several_sessions_of_one_user;
            delivery: tells_only_the_sender_of_a_refusal;
            cursor: resumes_after_the_cursor;
            cursor: delivers_from_memory_what_came_while_away;
            cursor: delivers_from_disk_what_came_while_away;
            cursor: loses_nothing_between_replay_and_live;
            cursor: resets_an_expired_cursor;
            cursor: resets_a_foreign_cursor;
            cursor: resets_a_cursor_ahead_of_the_log;
            cursor: refuses_a_malformed_cursor;
            cursor: continues_with_a_cursor_of_another_transport;
            cursor: shows_an_acknowledged_event_to_every_older_cursor;
            cursor: makes_the_later_snapshot_of_snapshot_and_events;
            cursor: resets_after_the_log_lost_something;
            identity: makes_one_message_of_one_cid;
            identity: makes_one_message_of_one_cid_sent_many_times_at_once;
            identity: makes_one_group_of_one_cid;
            identity: refuses_other_content_under_the_same_cid;
            membership: shows_a_new_member_what_comes_after_joining;
            membership: gives_a_leaver_member_left_last;
            membership: refuses_a_leavers_message;
            membership: leaves_out_what_lay_between_leaving_and_rejoining;
            membership: joins_leaves_and_reads_once;
            membership: hides_the_conversations_of_others;
            sign_in: refuses_an_unknown_token;
            sign_in: refuses_an_expired_token;
            sign_in: refuses_a_revoked_token;
            sign_in: ends_a_revoked_sign_ins_streams_within_a_second;
            sign_in: ends_a_revoked_sign_ins_streams_though_the_client_does_not_read;
            sign_in: ends_a_stream_whose_sign_in_expires;
            pace: is_not_delayed_by_a_client_that_does_not_read;
            pace: ends_a_client_that_does_not_read;
            pace: refuses_haste_and_says_when_to_come_back;
            pace: limits_the_connections_of_one_user;
            pace: catches_up_beyond_what_memory_holds;
            presence: tells_presence_once;
            presence: tells_typing_to_members_only;
            presence: does_not_repeat_what_is_not_logged;
            presence: tells_presence_after_a_restart_once;
            presence: notices_a_client_that_vanished;
            life: survives_silence;
            life: ends_properly_at_shutdown;
            life: keeps_what_it_acknowledged_over_a_restart;
            life: refuses_what_is_not_a_request;
            history: resets_a_cursor_of_another_history;
            history: keeps_cursors_and_ids_over_restarts;
            history: ends_every_session_when_another_process_writes;
            disk: answers_in_time_though_the_disk_hangs;
            disk: stores_once_what_was_late_in_its_commit;
            disk: serves_from_memory_what_needs_no_disk;
            http: finds_its_cookie_among_any_others;
            http: refuses_a_header_that_it_cannot_read;
            http: takes_the_cursor_from_the_first_place_that_has_one;
            http: answers_only_to_names_that_lead_to_it;
            http: refuses_with_a_problem_document;
            http: answers_a_body_that_is_too_long_or_too_late;
            life: answers_a_client_that_sends_no_more;
            life: counts_each_end_once_with_its_reason;
            pace: serves_a_client_that_reads_slowly;
            sign_in: takes_the_spellings_of_one_name_as_one;
            sign_in: reads_stored_names_as_they_are;
            sign_in: takes_a_password_in_any_normal_form;
            membership: counts_own_messages_as_read;
            membership: shows_the_gap_to_a_user_who_rejoins;
        }
    };
    (list of $server:ty; $($group:ident: $law:ident;)*) => {
        vec![$($crate::Law {
            name: concat!(stringify!($group), "::", stringify!($law)),
            check: || $crate::block_on($crate::laws::$group::$law::<$server>()),
        }),*]
    };
    (names of $server:ty; $($group:ident: $law:ident;)*) => {
        [$(stringify!($law)),*]
    };
    (tests of $server:ty; $($group:ident: $law:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let _requirement = $crate::Requirement::of(stringify!($law));
                $crate::laws::$group::$law::<$server>().await;
            }
        )*
    };
}
