//! What `jsonwebtoken` computes with: ring, for exactly HS256 (our own tokens), RS256, ES256 and EdDSA (those of others).
//! Every other algorithm, `none` first of all, is refused before a key is looked at.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, signature};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes ring what `jsonwebtoken` computes with; called before anything is signed or verified.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever was first in this process stays.
        let _first = PROVIDER.install_default();
    });
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    Ok(match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?)))
        }
        (Algorithm::RS256, AlgorithmFamily::Rsa) => match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => Box::new(Rs256 { n: n.clone(), e: e.clone() }),
            DecodingKeyKind::SecretOrDer(_) => return Err(ErrorKind::InvalidKeyFormat.into()),
        },
        (Algorithm::ES256, AlgorithmFamily::Ec) => Box::new(Es256(key.try_get_as_bytes()?.to_vec())),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Box::new(Ed25519(key.try_get_as_bytes()?.to_vec())),
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    })
}

struct Hs256(hmac::Key);

impl signature::Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct Rs256 {
    n: Vec<u8>,
    e: Vec<u8>,
}

struct Es256(Vec<u8>);

struct Ed25519(Vec<u8>);

/// One algorithm's verifier; what ring says of a signature is yes or no.
macro_rules! verifies {
    ($name:ident, $algorithm:expr, |$key:ident, $message:ident, $signature:ident| $verified:expr) => {
        impl signature::Verifier<Vec<u8>> for $name {
            fn verify(&self, $message: &[u8], $signature: &Vec<u8>) -> Result<(), signature::Error> {
                let $key = self;
                $verified.map_err(|_| signature::Error::new())
            }
        }

        impl JwtVerifier for $name {
            fn algorithm(&self) -> Algorithm {
                $algorithm
            }
        }
    };
}

verifies!(Hs256, Algorithm::HS256, |key, message, given| hmac::verify(&key.0, message, given));
verifies!(Rs256, Algorithm::RS256, |key, message, given| {
    RsaPublicKeyComponents { n: &key.n, e: &key.e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, given)
});
verifies!(Es256, Algorithm::ES256, |key, message, given| {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.0).verify(message, given)
});
verifies!(Ed25519, Algorithm::EdDSA, |key, message, given| {
    UnparsedPublicKey::new(&ED25519, &key.0).verify(message, given)
});
