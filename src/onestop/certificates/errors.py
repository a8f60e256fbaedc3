"""How certificates can fail.

NotFound   CertificateUnknown
"""

from onestop.errors import NotFound


class CertificateUnknown(NotFound):
    """The case has no certificate yet, or is not the caller's."""

    code = "certificate.unknown"
    who_acts = "applicant"
