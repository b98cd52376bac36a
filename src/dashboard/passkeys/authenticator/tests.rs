//! Against the test vectors of Web Authentication Level 3, §16, which are public, and what is made of them.

use super::*;
use proptest::prelude::*;

const ORIGIN: &str = "https://example.org";
const RP_ID: &str = "example.org";

/// A vector: a registration, and a use of what was registered.
struct Vector {
    register: (&'static str, &'static str, &'static str),
    challenge: &'static str,
    client_data: &'static str,
    authenticator_data: &'static str,
    signature: &'static str,
}

/// §16.2: ES256 without attestation. Neither registration nor use is verified by the user.
const ES256: Vector = Vector {
    register: (
        "00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130",
        "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d",
        "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
    ),
    challenge: "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
    client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
    authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
    signature: "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
};

/// §16.10: RS256 with a packed attestation. The registration is verified by the user, the use is not.
const RS256: Vector = Vector {
    register: (
        "bea8f0770009bd57f2c0df6fea9f743a27e4b61bbe923c862c7aad7a9fc8e4a6",
        "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a2276716a776477414a76566679774e3976367039304f69666b7468752d6b6a79474c48717465705f49354b59222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        "a363666d74667061636b65646761747453746d74a363616c672663736967584730450221008b8c5c6ea8c142c032e0be69e1353d44461c5c9109941cdda951b976eb95b6b302204d52f406c19e254b3ff9589bd18070fb055ac8db12fdd0a6734bea9d7168e900637835638159022630820222308201c7a00302010202101f6fb7a5ece81b45896b983a995da5f3300a06082a8648ce3d0403023062311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331253023060355040b0c1c41757468656e74696361746f72204174746573746174696f6e204341310b30090603550406130241413020170d3234303130313030303030305a180f33303234303130313030303030305a305f311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331223020060355040b0c1941757468656e74696361746f72204174746573746174696f6e310b30090603550406130241413059301306072a8648ce3d020106082a8648ce3d03010703420004b7b36b7542a11120b443c794d0c99fdc25a06b76586413d81e086163ef6fe147a557afc34e2861d9057d6d465d4705a0310550bdeeb5f35ee35b9425ab859981a360305e300c0603551d130101ff04023000300e0603551d0f0101ff040403020780301d0603551d0e04160414fb37b647bccfb9e54d989eaaacc1633868703fb3301f0603551d2304183016801445aff715b0dd786741fee996ebc16547a3931b1e300a06082a8648ce3d0403020349003046022100b86bc129d92afca7d9869a39f70f139a305b4073a39eb654d81424bed5757d91022100cf9f7c60cab7c4a7d3e7f0020f281a93d4fd0a9f95121b989f56932a68885fba68617574684461746159021bbfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b55d00000000428f8878298b9862a36ad8c7527bfef20020992a18acc83f67533600c1138a4b4c4bd236de13629cf025ed17cb00b00b74dfa4010303390100205901b403fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff800000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000012143010001",
    ),
    challenge: "295f59f5fa8fe62c5aca9e27626c78c8da376ae6d8cd2dd29aebad601e1bc4c5",
    client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224b56395a39667150356978617970346e596d7834794e6f33617562597a5333536d75757459423462784d55222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
    authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
    signature: "01063d52d7c39b4d432fc7063c5d93e582bdcb16889cd71f888d67d880ea730a428498d3bc8e1ee11f2b1ecbe6c292b118c55ffaaddefa8cad0a54dd137c51f1eec673f1bb6c4d1789d6826a222b22d0f585fc901fdc933212e579d199b89d672aa44891333e6a1355536025e82b25590256c3538229b55737083b2f6b9377e49e2472f11952f79fdd0da180b5ffd901b4049a8f081bb40711bef76c62aed943571f2d0575304cb549d68d8892f95086a30f93716aee818f8dc06e96c0d5e0ed4cfa9fd8773d90464b68cf140f7986666ff9c9e3302acd0535d60d769f465e2ab57ef8aabc89fccfef7ba32a64154a8b3d26be2298f470b8cc5377dbe3dfd4b0b45f8f01e63bde6cfc76b62771f9b70aa27cf40152cad93aa5acd784fd4b90f676e2ea828d0bf2400aebbaae4153e5838f537f88b6228346782a93a899be66ec77de45b3efcf311da6321c92e6b0cd11bfe653bf3e98cee8e341f02d67dbb6f9c98d9e8178090cfb5b70fbc6d541599ac794ae2f1d4de1286ec8de8c2daf7b1d15c8438e90d924df5c19045220a4c8438c1b979bbe016cf3d0eeec23c3999d4882cc645b776de930756612cdc6dd398160ff02a6",
};

/// §16.11: Ed25519 with a packed attestation. Neither is verified by the user.
const EDDSA: Vector = Vector {
    register: (
        "a8abf9dabdc6b0df63466b39bda9e8a34a34e185337a59f1c579990676d3b3bd",
        "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22714b763532723347734e396a526d733576616e6f6f306f303459557a656c6e7878586d5a426e6254733730222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20425f44543567375a445f2d394f544c59583549764551227d",
        "a363666d74667061636b65646761747453746d74a363616c67266373696758483046022100d83f60bd80269537583218858aefb03ac57d45fa06e42feaae332d187f62da9f022100a02bd3cb6f7e1d283c93bad1f3f4b5a4c0494463da7fdbf256949116754d1f17637835638159022730820223308201c8a003020102021100b2cfc9ea33c8643b0e1a760463eaf164300a06082a8648ce3d0403023062311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331253023060355040b0c1c41757468656e74696361746f72204174746573746174696f6e204341310b30090603550406130241413020170d3234303130313030303030305a180f33303234303130313030303030305a305f311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331223020060355040b0c1941757468656e74696361746f72204174746573746174696f6e310b30090603550406130241413059301306072a8648ce3d020106082a8648ce3d03010703420004dd2b7a564b73b8c0b81c4c62e521925c4d1198ec9f583dbf1eebe364b65cd9c29a9bdf346aaa81fb6b9507e5249a52fdaf8e39e26b0b7dc45992a7e233b70f70a360305e300c0603551d130101ff04023000300e0603551d0f0101ff040403020780301d0603551d0e041604140ae27546bc7eccb1b4b597bd354f0c0b1f1f8f8e301f0603551d2304183016801445aff715b0dd786741fee996ebc16547a3931b1e300a06082a8648ce3d0403020349003046022100a0d434ecb5fc3bfd7da5f41904517ad2836249f561bd834ba7a438a8ab7a4ce8022100fac845bb7a02513b58e9f319654dbe49b0f02b95835bac568c71f8a18cdde9ab6861757468446174615881bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b54100000000d5aa33581e8ca478e20fe713f5d32ff20020ce9f840ed96599580cd140fbc7bb3230633f50f61041aff73308ae71caa8a2bda401010327200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832",
    ),
    challenge: "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2",
    client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c596f7870557439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
    authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000",
    signature: "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b",
};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn asked(challenge: &[u8]) -> Asked<'_> {
    Asked {
        challenge,
        origin: ORIGIN,
        rp_id: RP_ID,
    }
}

impl Vector {
    /// The credential of the registration, past the one rule that most vectors break on purpose.
    fn credential(&self) -> Credential {
        let (challenge, client_data, attestation) = self.register;
        let (challenge, client_data) = (hex(challenge), hex(client_data));
        let mut attestation = hex(attestation);
        let hash = sha256(RP_ID.as_bytes());
        let at = attestation
            .windows(32)
            .position(|part| part == hash)
            .unwrap();
        attestation[at + 32] |= VERIFIED;
        register(&asked(&challenge), &client_data, &attestation).unwrap()
    }

    fn assertion(&self, known: &Credential) -> Assertion {
        Assertion {
            credential_id: known.id.clone(),
            client_data: hex(self.client_data),
            authenticator_data: hex(self.authenticator_data),
            signature: hex(self.signature),
            user: None,
        }
    }
}

#[test]
fn keys_and_signatures_of_the_standard_are_understood() {
    for vector in [ES256, RS256, EDDSA] {
        let known = vector.credential();
        let given = vector.assertion(&known);
        let challenge = hex(vector.challenge);
        // The signature is right, and checked first; what is missing is who was there.
        assert_eq!(
            authenticate(&asked(&challenge), &known, &given),
            Err(Refused::NotVerified)
        );
        let mut other = given.clone();
        other.signature[20] ^= 1;
        assert_eq!(
            authenticate(&asked(&challenge), &known, &other),
            Err(Refused::Signature)
        );
        let mut other = given;
        other.authenticator_data[32] |= VERIFIED;
        assert_eq!(
            authenticate(&asked(&challenge), &known, &other),
            Err(Refused::Signature),
            "the flags are signed"
        );
    }
}

#[test]
fn a_registration_of_the_standard_is_read_as_it_stands() {
    let (challenge, client_data, attestation) = RS256.register;
    let (challenge, client_data, attestation) =
        (hex(challenge), hex(client_data), hex(attestation));
    let new = register(&asked(&challenge), &client_data, &attestation).unwrap();
    let id = hex("992a18acc83f67533600c1138a4b4c4bd236de13629cf025ed17cb00b00b74df");
    assert_eq!(new.id, BASE64URL.encode(id));
    assert_eq!(
        (new.sign_count, new.can_be_synced, new.is_synced),
        (0, true, true)
    );

    let (challenge, client_data, attestation) = ES256.register;
    let (challenge, client_data, attestation) =
        (hex(challenge), hex(client_data), hex(attestation));
    let refused = register(&asked(&challenge), &client_data, &attestation);
    assert_eq!(refused, Err(Refused::NotVerified));
}

#[test]
fn what_answers_another_question_is_refused() {
    let (challenge, client_data, attestation) = RS256.register;
    let (challenge, client_data, attestation) =
        (hex(challenge), hex(client_data), hex(attestation));
    let ours = asked(&challenge);
    let with = |asked: Asked<'_>| register(&asked, &client_data, &attestation);
    assert_eq!(
        with(Asked {
            challenge: b"another",
            ..ours
        }),
        Err(Refused::Challenge)
    );
    assert_eq!(
        with(Asked {
            challenge: b"",
            ..ours
        }),
        Err(Refused::Challenge)
    );
    let origin = "https://evil.example.org";
    assert_eq!(with(Asked { origin, ..ours }), Err(Refused::Origin));
    assert_eq!(
        with(Asked {
            rp_id: "org",
            ..ours
        }),
        Err(Refused::RelyingParty)
    );

    let said = String::from_utf8(client_data.clone()).unwrap();
    for (from, to, why) in [
        ("webauthn.create", "webauthn.get", Refused::Kind),
        (
            "\"crossOrigin\":false",
            "\"crossOrigin\":true",
            Refused::Origin,
        ),
        (
            "false}",
            "false,\"topOrigin\":\"https://evil.example\"}",
            Refused::Origin,
        ),
        (
            "https://example.org",
            "https://example.org:8443",
            Refused::Origin,
        ),
        (
            "https://example.org",
            "https://example.org.",
            Refused::Origin,
        ),
        ("{", "[", Refused::ClientData),
    ] {
        assert!(said.contains(from), "{from}");
        let changed = said.replacen(from, to, 1);
        assert_eq!(
            register(&ours, changed.as_bytes(), &attestation),
            Err(why),
            "{to}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        client_data in prop::collection::vec(any::<u8>(), 0..200),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let known = EDDSA.credential();
        let given = Assertion {
            credential_id: String::new(), client_data: client_data.clone(),
            authenticator_data: bytes.clone(), signature: bytes.clone(), user: None,
        };
        prop_assert!(register(&asked(&[1; 32]), &client_data, &bytes).is_err());
        prop_assert!(authenticate(&asked(&[1; 32]), &known, &given).is_err());
        let _ = AuthenticatorData::parse(&bytes);
        let _ = PublicKey::parse(&bytes);
    }

    #[test]
    fn a_changed_byte_never_makes_another_credential(at in 0_usize..600, bit in 0_u8..8) {
        let (challenge, client_data, attestation) = RS256.register;
        let (challenge, client_data, mut attestation) = (hex(challenge), hex(client_data), hex(attestation));
        let whole = register(&asked(&challenge), &client_data, &attestation).unwrap();
        let at = at % attestation.len();
        attestation[at] ^= 1 << bit;
        // No attestation is asked for, so a byte of the key itself makes another key; the rest must hold or be refused.
        if let Ok(read) = register(&asked(&challenge), &client_data, &attestation) {
            prop_assert_eq!(read.id.len(), whole.id.len());
            prop_assert!(PublicKey::parse(&read.public_key).is_some());
        }
    }
}
