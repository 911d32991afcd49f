//! What a password or a digest is compared with.

use super::*;
use crate::sys::steps::{StepTimes, TimedStep};

#[test]
fn a_digest_needs_a_stored_cleartext_password() {
    let login = Login::new(b"a".to_vec()).unwrap();
    let proof = Proof::Apop(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap());
    for says in [Says::Asks("x"), Says::Anything] {
        let chain = chain(vec![source(says, Then::Stop, Then::Stop)]);
        let refused = chain.authenticate(&question(&login), &proof, &mut |_| {});
        let denied = FailedAttempt::from(Refusal::DigestNotPossible);
        assert_eq!(refused.map(drop), Err(denied));
    }
}

#[test]
fn an_app_password_is_accepted_within_its_limits_only() {
    let login = Login::new(b"a".to_vec()).unwrap();
    let asked = question(&login);
    let credential = |change: fn(&mut Credential)| {
        let mut credential = Credential::from(secret("{PLAIN}pw"));
        change(&mut credential);
        limit_violated(&credential, &asked)
    };
    let net = |text: &str| Network::parse(text).unwrap();
    assert_eq!(credential(|_| {}), None);
    assert_eq!(
        credential(|one| one.expires = Some(UNIX_EPOCH)),
        Some(Refusal::PasswordExpired)
    );
    assert_eq!(
        credential(|one| one.expires = Some(SystemTime::now() + Duration::from_secs(60))),
        None
    );
    assert_eq!(
        credential(|one| one.protocols = Some(vec![Protocol::Smtp])),
        Some(Refusal::ProtocolNotAllowed)
    );
    let from = |network| Credential {
        allow_nets: Some(vec![net(network)]),
        ..Credential::from(secret("{PLAIN}pw"))
    };
    assert_eq!(limit_violated(&from("192.0.2.0/24"), &asked), None);
    assert_eq!(
        limit_violated(&from("192.0.3.0/24"), &asked),
        Some(Refusal::NetworkNotAllowed)
    );
    let unknown = Question {
        client: None,
        ..asked
    };
    assert_eq!(
        limit_violated(&from("0.0.0.0/0"), &unknown),
        Some(Refusal::NetworkNotAllowed)
    );
}

/// 50,000 rounds of SHA512-CRYPT: some 10 ms the first time, microseconds from then on. What is
/// asserted is that the hash is not computed: its turn in the semaphore is never released.
#[test]
fn a_right_password_is_hashed_once_and_a_wrong_one_always() {
    let text = Secret::hash(
        crate::secret::Scheme::Sha256Crypt,
        &Password::new(b"pw".to_vec()).unwrap(),
    )
    .unwrap();
    let stored: &'static [&'static str] = vec![&*text.leak()].leak();
    let chain = chain(vec![source(Says::Stored(stored), Then::Stop, Then::Stop)]);
    assert!(ask(&chain, "a", "pw").is_ok());
    let login = Login::new(b"a".to_vec()).unwrap();
    let at_once = Question {
        deadline: Instant::now() + Duration::from_millis(5),
        ..question(&login)
    };
    let _taken = chain.turn(&question(&login)).unwrap();
    let again = |password| chain.authenticate(&at_once, &proof(password), &mut |_| {});
    assert!(again("pw").is_ok());
    assert_eq!(again("pW").map(drop), Err(Trouble::Busy.into()));
}

#[test]
fn each_step_of_a_check_is_measured() {
    let text = Secret::hash(
        crate::secret::Scheme::Sha256Crypt,
        &Password::new(b"pw".to_vec()).unwrap(),
    );
    let stored: &'static [&'static str] = vec![&*text.unwrap().leak()].leak();
    let chain = chain(vec![source(Says::Stored(stored), Then::Stop, Then::Stop)]);
    let login = Login::new(b"a".to_vec()).unwrap();
    let steps_of = |question: Question<'_>| {
        let times = StepTimes::default();
        let question = Question {
            steps: Some(&times),
            ..question
        };
        let _refused = chain.authenticate(&question, &proof("pW"), &mut |_| {});
        times.all()
    };
    let names = |steps: &[(TimedStep, Duration)]| -> Vec<_> {
        steps.iter().map(|(step, _)| *step).collect()
    };
    let store = TimedStep::Store(0);
    let free = steps_of(question(&login));
    assert_eq!(names(&free), [store, TimedStep::HashQueue, TimedStep::Hash]);
    let _taken = chain.turn(&question(&login)).unwrap();
    let patience = Duration::from_millis(5);
    let busy = steps_of(Question {
        deadline: Instant::now() + patience,
        ..question(&login)
    });
    assert_eq!(names(&busy), [store, TimedStep::HashQueue]);
    assert!(busy[1].1 > busy[0].1, "{busy:?}");
}
