# Teaches moto what MessageType DIGEST means in KMS's Sign: moto 5.2 takes every message for a raw one and
# hashes it once more; and that AWS answers in JSON to who accepts it. Python reads this file when it starts with its directory in PYTHONPATH.
import threading

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.responses import BaseResponse
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey

asked = threading.local()
sign_request = KmsResponse.sign
sign_raw = ECDSAPrivateKey.sign


def sign(self):
    asked.digest = self._get_param("MessageType") == "DIGEST"
    try:
        return sign_request(self)
    finally:
        asked.digest = False


def sign_message(self, message, signing_algorithm):
    if getattr(asked, "digest", False) and signing_algorithm == "ECDSA_SHA_256":
        return self.private_key.sign(message, ec.ECDSA(Prehashed(hashes.SHA256())))
    return sign_raw(self, message, signing_algorithm)


KmsResponse.sign = sign
ECDSAPrivateKey.sign = sign_message

wants_json = BaseResponse.request_json.fget
BaseResponse.request_json = property(
    lambda self: wants_json(self) or self.headers.get("Accept") == "application/json"
)
