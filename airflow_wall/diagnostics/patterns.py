"""Regular expressions that values must match; `wording` describes each of them."""

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_\-]{0,199}$"
DAG_ID_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}$"
MEMORY_PATTERN = r"^\d+(MB|GB)$"
MARGIN_PATTERN = r"^\d+(\.\d+)?%?$"

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
WORD_PATTERN = rf"^{_WORD}$"
REFERENCE_PATTERN = rf"^{_WORD}(\.{_WORD})*:{_WORD}$"
DOTTED_PATTERN = rf"^{_WORD}(\.{_WORD})+$"
