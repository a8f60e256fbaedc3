"""What the steps of the birth bundle hand to the departments, for the standard family."""

from typing import Any

from demo.callers import LIN, ZHOU

BABY = {"child_id": "990102202511180465", "child_name": "周沐禾", "child_sex": "female", "born_on": "2025-11-18"}
GUARDIAN = {"guardian_id": LIN, "guardian_name": "林晓舟"}
PARENTS = {"mother_id": LIN, "mother_name": "林晓舟", "father_id": ZHOU, "father_name": "周启明"}
PAYLOADS: dict[str, dict[str, Any]] = {
    "issue_birth_certificate": {**PARENTS, **BABY, "weight_g": 3240, "hospital_uscc": "12990100MB9T10017X"},
    "vaccination_card": {**GUARDIAN, **BABY, "certificate_no": "Y990000123"},
    "register_birth": {**PARENTS, **BABY, "certificate_no": "Y990000123"},
    "social_security_card": {**GUARDIAN, **BABY, "phone": "15400000001", "address": None},
    "enrol_resident": {**GUARDIAN, **BABY},
    "maternity_claim": {**PARENTS, **BABY, "certificate_no": "Y990000123"},
}
