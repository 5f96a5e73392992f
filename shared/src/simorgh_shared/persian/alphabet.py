"""Classes of characters that Persian text is made of, as the inside of a regular expression's brackets; no rules."""

ZWNJ = "\u200c"
ZWJ = "\u200d"
LETTERS = (
    "\u0620-\u063f\u0641-\u064a\u066e\u066f\u0671-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06fc\u06ff\u0750-\u077f\u08a0-\u08c7"
)
"""Letters of the Arabic script, Persian or not; the tatweel is none."""
MARKS = "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
"""What stands above or below a letter."""
VOWEL_MARKS = "\u0610-\u061a\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
"""The marks that may go; madda and hamza (U+0653 to U+0655) belong to the spelling."""
NON_JOINING = "اآأإٱدذرزژوؤءة"
"""Letters that never join the next one: a ZWNJ after them changes nothing that a reader sees."""
JOINING = "بپتثجچحخسشصضطظعغفقکگلمنهیئ"
"""Letters that join the next one unless a ZWNJ keeps them apart."""
WORD = LETTERS + MARKS + ZWNJ + ZWJ
"""What a Persian word is made of."""
DIGITS = "0-9۰-۹٠-٩"
ARABIC_SCRIPT = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
"""Everything that makes a line Persian or Arabic, its digits and punctuation too."""
FOREIGN_LETTERS = (
    "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u05ff\u0700-\u074f\u0780-\u089f\u0900-\u1fff"
    "\u2c00-\u2dff\u3040-\ua4ff\ua500-\ud7ff\uf900-\ufaff\uff21-\uff3a\uff41-\uff5a"
)
"""Letters and marks of every other script in the basic plane; the text around them is not ours to mend."""
