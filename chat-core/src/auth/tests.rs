use super::*;

fn auth(hash_memory: u32) -> Auth {
    Auth::new(&Limits { hash_memory, ..Limits::default() })
}

fn here() -> Network {
    std::net::IpAddr::from([127, 0, 0, 1]).into()
}

fn account(password: String) -> Account {
    let name = crate::text::Name::stored("Ann".to_owned());
    Account { user: crate::model::User { id: UserId(1), name }, password }
}

#[tokio::test]
async fn no_hash_can_be_read() {
    let auth = auth(64);
    assert!(PasswordHash::new(&auth.nobody).is_ok());
    let verdict = auth.verify(None, Password::from("whatever it is"), here()).await.unwrap();
    assert_eq!(verdict, Verdict::Wrong);
}

#[tokio::test]
async fn a_password_opens_its_own_hash_only() {
    let auth = auth(64);
    let hash = auth.hash(Password::from("correct horse"), here()).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
    let account = account(hash);
    for (typed, expected) in
        [("correct horse", Verdict::Right { renewed: None }), ("correct house", Verdict::Wrong)]
    {
        let verdict = auth.verify(Some(&account), Password::from(typed), here()).await.unwrap();
        assert_eq!(verdict, expected, "{typed}");
    }
}

/// `é` as one character and as two, for a current hash and for one from before passwords were normalised.
#[tokio::test]
async fn a_password_opens_in_both_forms_and_an_old_hash_as_it_was_typed() {
    let (auth, composed, decomposed) = (auth(64), "caf\u{E9} au lait", "cafe\u{301} au lait");
    let today = account(auth.hash(Password::from(decomposed), here()).await.unwrap());
    for typed in [composed, decomposed] {
        let verdict = auth.verify(Some(&today), Password::from(typed), here()).await.unwrap();
        assert_eq!(verdict, Verdict::Right { renewed: None }, "{typed:?}");
    }
    let old = auth.hasher.hash_password(decomposed.as_bytes()).unwrap().to_string();
    let verdict = auth.verify(Some(&account(old)), Password::from(decomposed), here()).await.unwrap();
    let Verdict::Right { renewed: Some(renewed) } = verdict else { panic!("{verdict:?}") };
    let verdict = auth.verify(Some(&account(renewed)), Password::from(composed), here()).await.unwrap();
    assert_eq!(verdict, Verdict::Right { renewed: None });
}

/// Otherwise the time would show whether there is such a name, or whether a guess was half right.
#[tokio::test]
async fn how_many_hashes_a_sign_in_takes_depends_on_the_typed_text_alone() {
    let auth = auth(64);
    let today = account(auth.hash(Password::from("caf\u{E9} au lait"), here()).await.unwrap());
    for (typed, hashes) in [
        ("caf\u{E9} au lait", 1),
        ("a wrong guess", 1),
        ("cafe\u{301} au lait", 2),
        ("a wrong gue\u{301}ss", 2),
    ] {
        for account in [Some(&today), None] {
            auth.compared.store(0, std::sync::atomic::Ordering::Relaxed);
            auth.verify(account, Password::from(typed), here()).await.unwrap();
            let compared = auth.compared.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(compared, hashes, "{typed:?}, known: {}", account.is_some());
        }
    }
}

#[tokio::test]
async fn a_hash_with_other_parameters_is_made_anew() {
    let old = account(auth(32).hash(Password::from("correct horse"), here()).await.unwrap());
    let verdict = auth(64).verify(Some(&old), Password::from("correct horse"), here()).await.unwrap();
    let Verdict::Right { renewed: Some(renewed) } = verdict else { panic!("{verdict:?}") };
    assert!(renewed.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{renewed}");
    let verdict = auth(64).verify(Some(&old), Password::from("correct house"), here()).await.unwrap();
    assert_eq!(verdict, Verdict::Wrong);
}

#[test]
fn a_sign_in_that_ends_while_it_is_looked_up_is_not_remembered() {
    let auth = auth(64);
    let sign_in = SignIn { user: UserId(1), token: [7; 32], expires: 9 };
    let moment = auth.known(&sign_in.token).unwrap_err();
    auth.forget(&sign_in.token);
    auth.remember(sign_in, moment);
    let moment = auth.known(&sign_in.token).unwrap_err();
    auth.remember(sign_in, moment);
    assert_eq!(auth.known(&sign_in.token).unwrap(), sign_in);
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let auth = Auth::new(&Limits { hash_memory: 64, hash_queue: 0, ..Limits::default() });
    let mut held = Vec::new();
    for _ in 0..std::thread::available_parallelism().unwrap().get().div_ceil(2) {
        held.push(auth.turns.next(here()).await.unwrap());
    }
    let refusal = auth.hash(Password::from("correct horse"), here()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (Code::Busy, Some(1_000)));
    held.clear();
    auth.hash(Password::from("correct horse"), here()).await.unwrap();
}
