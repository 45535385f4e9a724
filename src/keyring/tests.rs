use proptest::prelude::*;

use super::*;

const PURPOSES: [Purpose; 2] = [Purpose::InviteToken, Purpose::PageToken];

fn hex_key(byte: u8) -> String {
    hex::encode([byte; 32])
}

proptest! {
    #[test]
    fn sealed_bytes_can_be_opened(
        aad in proptest::collection::vec(any::<u8>(), 0..40),
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
        page in any::<bool>(),
    ) {
        let ring = Keyring::generate().unwrap();
        let purpose = PURPOSES[usize::from(page)];
        let sealed = ring.seal(purpose, &aad, &plaintext).unwrap();
        let opened = ring.open(purpose, &aad, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), &plaintext[..]);
    }

    #[test]
    fn bytes_that_were_not_sealed_are_rejected(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let ring = Keyring::from_texts([hex_key(1)]).unwrap();
        prop_assert!(ring.open(Purpose::PageToken, b"", &bytes).is_err());
    }
}

#[test]
fn changed_or_truncated_bytes_are_rejected() {
    let ring = Keyring::generate().unwrap();
    let sealed = ring.seal(Purpose::InviteToken, b"invite", b"token").unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(ring.open(Purpose::InviteToken, b"invite", &changed).is_err(), "{at}");
        }
        assert!(ring.open(Purpose::InviteToken, b"invite", &sealed[..at]).is_err(), "{at}");
    }
}

#[test]
fn another_purpose_or_other_associated_data_is_refused() {
    let ring = Keyring::generate().unwrap();
    let sealed = ring.seal(Purpose::InviteToken, b"invite 1", b"token").unwrap();
    assert_eq!(
        ring.open(Purpose::InviteToken, b"invite 2", &sealed),
        Err(KeyringError::NotAuthentic)
    );
    assert_eq!(
        ring.open(Purpose::PageToken, b"invite 1", &sealed),
        Err(KeyringError::NotAuthentic)
    );
}

#[test]
fn two_seals_of_one_text_differ() {
    let ring = Keyring::generate().unwrap();
    let seal = || ring.seal(Purpose::PageToken, b"", b"same").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn the_first_key_seals_and_later_keys_still_open() {
    let old = Keyring::from_texts([hex_key(1)]).unwrap();
    let both = Keyring::from_texts([hex_key(2), hex_key(1)]).unwrap();
    let new = Keyring::from_texts([hex_key(2)]).unwrap();

    let before = old.seal(Purpose::InviteToken, b"a", b"t").unwrap();
    assert_eq!(both.open(Purpose::InviteToken, b"a", &before).unwrap().as_slice(), b"t");
    let after = both.seal(Purpose::InviteToken, b"a", b"t").unwrap();
    assert_eq!(new.open(Purpose::InviteToken, b"a", &after).unwrap().as_slice(), b"t");
    let unknown = |ring: &Keyring| Err(KeyringError::UnknownKey(ring.ids()[0]));
    assert_eq!(old.open(Purpose::InviteToken, b"a", &after), unknown(&new));
    assert_eq!(new.open(Purpose::InviteToken, b"a", &before), unknown(&old));

    assert_eq!(both.fingerprints()[0], new.fingerprints()[0]);
    assert_eq!(both.fingerprints()[1], old.fingerprints()[0]);
}

#[test]
fn hexadecimal_and_base64_are_the_same_key() {
    let secret = [0xfb_u8; 32];
    let padded = base64::engine::general_purpose::STANDARD.encode(secret);
    let texts = [
        hex::encode(secret),
        hex::encode(secret).to_uppercase(),
        padded.clone(),
        padded.trim_end_matches('=').to_owned(),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret),
        format!("  {padded}\n"),
    ];
    let prints: Vec<_> =
        texts.iter().map(|text| Keyring::from_texts([text]).unwrap().fingerprints()).collect();
    assert!(prints.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_file_holds_one_key_a_line_and_comments() {
    let (first, second) = (hex_key(1), hex_key(2));
    let file = format!("# ours\n\n{first} # since spring\r\n  {second}\n");
    let setting = format!("{first},{second}");
    let prints = Keyring::parse(&file).unwrap().fingerprints();
    assert_eq!(prints.len(), 2);
    assert_eq!(prints, Keyring::parse(&setting).unwrap().fingerprints());

    assert_eq!(Keyring::parse("# nothing\n").unwrap_err(), KeyringError::Empty);
    assert_eq!(Keyring::parse(&format!("{first}\nsecret")).unwrap_err(), KeyringError::NotAKey(2));
    for short in [&first[..62], &first[..63], "00"] {
        assert_eq!(Keyring::parse(short).unwrap_err(), KeyringError::NotAKey(1));
    }
    let generated = Keyring::generate_file().unwrap();
    assert_eq!(Keyring::parse(&generated).unwrap().keys.len(), 1);
}

#[test]
fn p02_a_fingerprint_reveals_neither_the_key_nor_a_derived_key() {
    let secret = hex::encode(std::array::from_fn::<u8, 32, _>(|i| i as u8 + 1));
    let ring = Keyring::from_texts([&secret]).unwrap();
    let print = ring.fingerprints().remove(0);
    assert_eq!(print.len(), 32);

    let mut derived = Zeroizing::new([0_u8; 32]);
    let bytes = hex::decode(&secret).unwrap();
    let hkdf = Hkdf::<Sha256>::new(None, &bytes);
    for info in [&b"guestlist/v1/invite-token"[..], b"guestlist/v1/page-token"] {
        hkdf.expand(info, derived.as_mut()).unwrap();
        assert_ne!(print, hex::encode(&derived[..16]));
    }
    let hash = hex::encode(<Sha256 as sha2::Digest>::digest(&bytes));
    assert_ne!(print, hash[..32], "a plain hash could be looked up");
    for window in 0..=secret.len() - 8 {
        assert!(!print.contains(&secret[window..window + 8]));
    }
}

#[test]
fn p05_debug_shows_only_fingerprints() {
    let ring = Keyring::from_texts([hex_key(0xab)]).unwrap();
    let shown = format!("{ring:?}");
    assert!(!shown.contains("abababab"), "{shown}");
    assert_eq!(shown, format!("Keyring({:?})", ring.fingerprints()));
}

#[test]
fn p02_an_id_is_the_first_half_of_a_fingerprint_and_names_a_missing_key() {
    let (old, new) =
        (Keyring::from_texts([hex_key(1)]).unwrap(), Keyring::from_texts([hex_key(2)]).unwrap());
    let (id, print) = (new.ids()[0], new.fingerprints().remove(0));
    assert_eq!(id.to_string(), print[..16]);
    assert_eq!(SecretKeyId::of_fingerprint(&print), Some(id));
    for wrong in ["", &print[..15], "zz34567890123456", "é34567890123456"] {
        assert_eq!(SecretKeyId::of_fingerprint(wrong), None, "{wrong}");
    }
    let sealed = new.seal(Purpose::PageToken, b"", b"page").unwrap();
    let error = old.open(Purpose::PageToken, b"", &sealed).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(&id.to_string()) && !text.contains(&hex_key(2)[..8]), "{text}");
    let both = Keyring::from_texts([hex_key(2), hex_key(1)]).unwrap();
    assert_eq!(both.ids(), [new.ids(), old.ids()].concat());
}

#[test]
fn sealed_bytes_contain_the_id_of_their_key() {
    let ring = Keyring::from_texts([hex_key(1), hex_key(2)]).unwrap();
    let sealed = ring.seal(Purpose::InviteToken, b"invite", b"token").unwrap();
    assert_eq!(SecretKeyId::of_sealed(&sealed), Some(ring.ids()[0]));
    assert_ne!(SecretKeyId::of_sealed(&sealed), Some(ring.ids()[1]));
    assert_eq!(SecretKeyId::of_sealed(&sealed[..KEY_ID_LEN]), None);
}
