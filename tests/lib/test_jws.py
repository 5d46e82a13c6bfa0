"""Signed tokens: only the key's own algorithm counts, and one token has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.lib import jws
from tests.ingest import signing

RSA, EC = signing.rsa_key(), signing.ec_key()


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")])
def test_a_token_is_read_and_verified(key: signing.PrivateKey, algorithm: str) -> None:
    token = jws.read(signing.jwt(key, {"alg": algorithm, "kid": "a"}, {"sub": "b"}))
    token.verify(jws.public_key(signing.public_pem(key)))
    assert (token.header["kid"], token.claims) == ("a", {"sub": "b"})


ALGORITHMS = ["none", "None", "HS256", "RS384", "PS256", "ES256", "rs256", "", None, 7, ["RS256"]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_algorithm_than_the_keys_is_refused(algorithm: object) -> None:
    token = jws.read(signing.jwt(RSA, {"alg": algorithm}, {}))
    with pytest.raises(jws.BadToken):
        token.verify(jws.public_key(signing.public_pem(RSA)))


@pytest.mark.parametrize("signature", [b"", b"x", b"\x00" * 64, b"\xff" * 64, b"x" * 256])
@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ec"])
def test_a_signature_of_any_shape_that_does_not_fit_is_refused(key: signing.PrivateKey, signature: bytes) -> None:
    header = {"alg": "RS256" if key is RSA else "ES256"}
    head = signing.jwt(key, header, {}).rpartition(".")[0]
    with pytest.raises(jws.BadToken):
        jws.read(f"{head}.{signing.base64url(signature)}").verify(jws.public_key(signing.public_pem(key)))


@given(st.text(alphabet=st.sampled_from("ab.=-_+/ \n\x00e30é\ud800"), max_size=40))
def test_any_text_is_a_token_or_is_refused(text: str) -> None:
    with pytest.raises(jws.BadToken):
        jws.read(text)


@pytest.mark.parametrize(
    "text",
    ["", "..", "a.b", "a.b.c.d", "e30.e30.", "e30=.e30.AA", "e30.W10.AA", "e30.e30.A", "e30.e31.AA", "x" * 10_000],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(jws.BadToken):
        jws.read(text)
