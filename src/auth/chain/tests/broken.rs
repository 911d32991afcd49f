//! Users with an unusable stored value: no later store accepts them.

use super::*;

/// Finds this account for every login.
struct Knows(Account);

impl UserStore for Knows {
    fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
        Ok(Some(self.0.clone()))
    }
}

fn account(own: &[&str], apps: &[&str]) -> Account {
    let own = own.iter().map(|text| secret(text).into());
    let apps = apps.iter().map(|text| Credential {
        label: Some("phone".to_owned()),
        ..secret(text).into()
    });
    Account {
        passwords: Passwords::Stored(own.chain(apps).collect()),
        likeness: Likeness::Same,
        ..Account::default()
    }
}

/// What it and a second store come to, which has the password `second` in clear.
fn then_second(first: &Account, proof: &Proof) -> Result<(), Refusal> {
    let first = Source {
        store: Arc::new(Knows(first.clone())),
        ..source(Says::Unknown, Then::Next, Then::Next)
    };
    let second = Says::Stored(&["{PLAIN}second"]);
    let chain = chain(vec![first, source(second, Then::Stop, Then::Stop)]);
    let login = Login::new(b"alice".to_vec()).unwrap();
    let outcome = chain.authenticate(&question(&login), proof, &mut |_| {});
    outcome.map(|_| ()).map_err(|denied| denied.why)
}

#[test]
fn app_passwords_do_not_make_a_later_store_accept_the_user() {
    let password = |account| Account {
        unusable_password: Some("line 3".to_owned()),
        ..account
    };
    let entry = |account| Account {
        unusable: Some("line 3".to_owned()),
        ..account
    };
    let (clear, hash) = ("{PLAIN}app", "{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=");
    let why_password = Refusal::UnusablePassword("fake: line 3".to_owned());
    let why_entry = Refusal::UnusableEntry("fake: line 3".to_owned());
    let wrong = Refusal::WrongPassword;
    for (first, of_second, of_app) in [
        (password(account(&[], &[])), Err(&why_password), Err(&wrong)),
        (password(account(&[], &[clear])), Err(&why_password), Ok(())),
        (
            password(account(&[], &[hash, clear])),
            Err(&why_password),
            Ok(()),
        ),
        (
            password(account(&[], &[hash])),
            Err(&why_password),
            Err(&why_password),
        ),
        (entry(account(&[], &[])), Err(&why_entry), Err(&wrong)),
        (
            entry(account(&[], &[clear])),
            Err(&why_entry),
            Err(&why_entry),
        ),
        (
            entry(password(account(&[], &[clear]))),
            Err(&why_entry),
            Err(&why_entry),
        ),
        // The unusable entry is reported only after the right password.
        (
            entry(account(&["{PLAIN}own"], &[clear])),
            Err(&wrong),
            Err(&why_entry),
        ),
        // A broken app password leaves the user's own in force, and with it what follows a wrong one.
        (password(account(&["{PLAIN}own"], &[clear])), Ok(()), Ok(())),
        (account(&[], &[clear]), Ok(()), Ok(())),
    ] {
        let asked = |text| then_second(&first, &proof(text));
        assert_eq!(
            asked("second"),
            of_second.map_err(Refusal::clone),
            "{first:?}"
        );
        assert_eq!(asked("app"), of_app.map_err(Refusal::clone), "{first:?}");
        let answered = |digest| ChallengeResponse::new(b"<1.2@x>", digest).unwrap();
        for digest in [
            Proof::CramMd5(answered(b"6c1f7e712622b942a2c3fe6140cfe051")),
            Proof::Apop(answered(b"8272645a01a9bc9eec672629d15d1118")),
        ] {
            let outcome = then_second(&first, &digest);
            assert_eq!(outcome.is_ok(), of_second.is_ok(), "{first:?}");
        }
    }
}
