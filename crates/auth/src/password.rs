//! Passwords: which ones we take, how they are kept, how they are checked.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;

/// Shortest password a person may choose, in characters (NIST SP 800-63B).
const CHARACTERS_MIN: usize = 8;
/// Longest password, in octets: what the SASL parser takes.
pub(crate) const BYTES_MAX: usize = mail_types::sasl::PLAIN_PASSWORD_BYTES_MAX;
/// Argon2id as OWASP recommends it: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// No letters or digits that are mistaken for others. 32 of them, so that each carries exactly 5 bits.
const READABLE: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Four groups of five: 100 bits, too many to guess even with the verifier at hand.
const GROUPS: usize = 4;
const GROUP_CHARACTERS: usize = 5;
/// Marks the verifier of an app password.
const APP_PREFIX: &str = "$blake3$";
const APP_SALT_BYTES: usize = 16;
const APP_CONTEXT: &str = "todoku app password v1";

/// Why a new password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Guessed too easily.
    #[error("the password is too short: {CHARACTERS_MIN} characters are the least")]
    TooShort,
    /// Some protocols could not carry it.
    #[error("the password is too long: {BYTES_MAX} octets are the most")]
    TooLong,
    /// A line end or the like.
    #[error("the password holds a control character, which not every mail program can send")]
    Control,
    /// The first thing that is tried.
    #[error("the password must not be the address")]
    IsAddress,
}

/// A password as it is hashed: in form C, because keyboards differ in how they write an é (RFC 8265 §4.2).
pub(crate) fn prepare(password: &str) -> String {
    password.nfc().collect()
}

/// Whether a person may choose this password.
pub(crate) fn judge(password: &str, address: &str) -> Result<(), PasswordError> {
    if password.contains(char::is_control) {
        return Err(PasswordError::Control);
    }
    if password.len() > BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    if password.chars().count() < CHARACTERS_MIN {
        return Err(PasswordError::TooShort);
    }
    if password.to_lowercase() == address.to_lowercase() {
        return Err(PasswordError::IsAddress);
    }
    Ok(())
}

/// A password of 100 random bits that can be read aloud and typed on a phone, such as `k7mzp-4tqxr-…`.
pub fn generate_password() -> String {
    let mut random = [0u8; GROUPS * GROUP_CHARACTERS];
    fill_random(&mut random);
    let groups: Vec<String> = random
        .chunks(GROUP_CHARACTERS)
        .map(|group| group.iter().map(|byte| char::from(READABLE[usize::from(byte % 32)])).collect())
        .collect();
    groups.join("-")
}

/// The verifier of a password that a person chose. Slow on purpose: call it where blocking is allowed.
pub(crate) fn hash(password: &str) -> String {
    argon2()
        .hash_password(prepare(password).as_bytes())
        .expect("the parameters are constants and the system has random numbers")
        .to_string()
}

/// Whether it is the password. Slow on purpose, and compares in constant time.
pub(crate) fn verify(password: &str, verifier: &str) -> bool {
    argon2().verify_password(prepare(password).as_bytes(), verifier).is_ok()
}

/// The verifier of a generated password, whose randomness leaves nothing for a slow hash to add.
pub(crate) fn hash_generated(password: &str) -> String {
    let mut salt = [0u8; APP_SALT_BYTES];
    fill_random(&mut salt);
    let salt = hex::encode(salt);
    let hash = app_hash(&salt, password);
    format!("{APP_PREFIX}{salt}${hash}")
}

/// Whether it is the generated password, in constant time.
pub(crate) fn verify_generated(password: &str, verifier: &str) -> bool {
    let Some((salt, hash)) = verifier.strip_prefix(APP_PREFIX).and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    // Equality of `blake3::Hash` takes constant time.
    blake3::Hash::from_hex(hash).is_ok_and(|hash| hash == app_hash(salt, password))
}

fn app_hash(salt: &str, password: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(APP_CONTEXT);
    hasher.update(salt.as_bytes()).update(b"$").update(password.as_bytes());
    hasher.finalize()
}

pub(crate) fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random numbers");
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_readable_and_differ() {
        let password = generate_password();
        assert_eq!(password.len(), 23);
        assert!(password.split('-').all(|group| group.len() == 5), "{password}");
        assert!(!password.contains(['l', 'o', '0', '1']), "{password}");
        assert_ne!(password, generate_password());
        assert_eq!(judge(&password, "anna@example.org"), Ok(()));
        let distinct: std::collections::HashSet<_> = READABLE.iter().collect();
        assert_eq!(distinct.len(), 32);
    }

    #[test]
    fn a_verifier_holds_for_its_password_alone() {
        let verifier = hash("p\u{e4}ssword");
        assert!(verifier.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{verifier}");
        assert!(verify("p\u{e4}ssword", &verifier));
        assert!(verify("pa\u{308}ssword", &verifier), "form D of the same password");
        assert!(!verify("password", &verifier));
        assert!(!verify("p\u{e4}ssword", "not a verifier"));
        assert!(!verify("p\u{e4}ssword", ""));
    }

    #[test]
    fn a_verifier_made_elsewhere_is_understood() {
        // Known answer of the reference implementation (phc-winner-argon2, test.c): m = 65536, t = 2, p = 1.
        let verifier =
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify("password", verifier));
        assert!(!verify("passwore", verifier));
    }

    #[test]
    fn a_generated_password_has_a_verifier_of_its_own_kind() {
        let password = generate_password();
        let verifier = hash_generated(&password);
        assert!(!verifier.contains(&password));
        assert!(verify_generated(&password, &verifier));
        assert!(!verify_generated(&generate_password(), &verifier));
        for damaged in ["", "$blake3$", "$blake3$00$", "$blake3$00$00", &hash(&password)] {
            assert!(!verify_generated(&password, damaged), "{damaged}");
        }
    }

    #[test]
    fn which_passwords_are_taken() {
        let judge = |password: &str| judge(password, "anna@example.org");
        assert_eq!(judge("1234567"), Err(PasswordError::TooShort));
        assert_eq!(judge("ääääääää"), Ok(()));
        assert_eq!(judge(&"x".repeat(BYTES_MAX)), Ok(()));
        assert_eq!(judge(&"x".repeat(BYTES_MAX + 1)), Err(PasswordError::TooLong));
        assert_eq!(judge("12345678\n"), Err(PasswordError::Control));
        assert_eq!(judge("Anna@Example.org"), Err(PasswordError::IsAddress));
    }
}
