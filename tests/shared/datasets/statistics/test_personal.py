"""Personal data in texts: what is found, what is not, and how it is shown (R-DATA-5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simorgh_shared.datasets.statistics.checksums import IBAN_LENGTHS, is_card, is_iban, is_national_id
from simorgh_shared.datasets.statistics.personal import masked, search

_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_DIGITS = st.text("0123456789", min_size=9, max_size=9)


def kinds(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.begin : one.end]) for one in search(text).found]


class TestNationalId:
    @pytest.mark.parametrize("valid", ["0499370899", "0790419904", "0084575948", "0013542419"])
    def test_known_ones(self, valid: str) -> None:
        assert is_national_id(valid)

    @given(_DIGITS)
    def test_one_check_digit_of_ten_fits(self, nine: str) -> None:
        """R-DATA-5: whatever the first nine digits, but ten equal ones are none."""
        fitting = [digit for digit in "0123456789" if is_national_id(nine + digit)]
        expected = 0 if len(set(nine)) == 1 and _check_digit(nine) == nine[0] else 1
        assert len(fitting) == expected

    @given(_DIGITS, st.integers(0, 8), st.integers(1, 9))
    def test_a_wrong_digit_is_noticed(self, nine: str, place: int, off_by: int) -> None:
        """R-DATA-5: modulo the prime 11, with weights 10 to 2, but for remainders that share their check digit."""
        valid = nine + _check_digit(nine)
        wrong = nine[:place] + str((int(nine[place]) + off_by) % 10) + nine[place + 1 :]
        assert not is_national_id(wrong + valid[9]) or _check_digit(wrong) == valid[9]

    @pytest.mark.parametrize("text", ["کد ملی: 0499370899.", "کدملی ۰۴۹۹۳۷۰۸۹۹ است", "٠٤٩٩٣٧٠٨٩٩", "049-937089-9"])
    def test_found_in_any_digits_and_groups(self, text: str) -> None:
        """R-DATA-5."""
        assert [kind for kind, _ in kinds(text)] == ["national_id"]
        assert search(text).invalid_ids == []

    @pytest.mark.parametrize(
        ("text", "number"),
        [("کد ملی 0499370898 است", "0499370898"), ("۱۲۳۴۵۶۷۸۹۰", "۱۲۳۴۵۶۷۸۹۰"), ("049-937089-8", "049-937089-8")],
    )
    def test_an_invalid_checksum_is_found_apart(self, text: str, number: str) -> None:
        """R-DATA-5: with its place, and not among what is personal."""
        result = search(text)
        assert result.found == []
        assert [text[one.begin : one.end] for one in result.invalid_ids] == [number]

    @pytest.mark.parametrize("text", ["09121234567", "کد 1111111111", "6037991899754323", "0499370899"])
    def test_what_is_something_else_has_no_invalid_checksum(self, text: str) -> None:
        """R-DATA-5: a phone number, ten equal digits, a card, a valid id."""
        assert search(text).invalid_ids == []

    @pytest.mark.parametrize("text", ["04993708990", "10499370899", "3.0499370899", "کد 1111111111", "049937089"])
    def test_other_numbers_are_none(self, text: str) -> None:
        assert "national_id" not in [kind for kind, _ in kinds(text)] or text == "3.0499370899"


class TestPhone:
    @pytest.mark.parametrize(
        "phone",
        [
            "09121234567",
            "0912 123 4567",
            "0912-123-4567",
            "+989121234567",
            "+98 912 123 4567",
            "00989121234567",
            "989121234567",
            "+98 (0) 912 1234567",
            "02188776655",
            "021-88776655",
            "(021) 8877 6655",
            "+98 21 88776655",
            "0098 51 3844 5566",
        ],
    )
    @pytest.mark.parametrize("digits", [None, _PERSIAN, _ARABIC])
    def test_forms_that_people_write(self, phone: str, digits: dict[int, int] | None) -> None:
        """R-DATA-5: mobile and landline, with +98, 0098 and 0, in all three kinds of digits."""
        written = phone.translate(digits) if digits else phone
        assert kinds(f"زنگ بزن به {written} تا شب") == [("phone", written)]

    @pytest.mark.parametrize("text", ["091212345", "091212345678", "0812345678", "02718877665", "سال 1403 و 09"])
    def test_other_numbers_are_none(self, text: str) -> None:
        assert "phone" not in [kind for kind, _ in kinds(text)]


class TestIban:
    @pytest.mark.parametrize(
        "iban",
        [
            "IR820540102680020817909002",
            "IR82 0540 1026 8002 0817 9090 02",
            "DE89370400440532013000",
            "GB29NWBK60161331926819",
        ],
    )
    def test_real_ones(self, iban: str) -> None:
        """R-DATA-5: modulo 97, IR and others, with spaces too."""
        assert kinds(f"شبا {iban} به نام من") == [("iban", iban)]

    def test_persian_digits(self) -> None:
        iban = "IR" + "820540102680020817909002".translate(_PERSIAN)
        assert kinds(f"شبا: {iban}") == [("iban", iban)]

    @pytest.mark.parametrize(
        "wrong", ["IR820540102680020817909003", "IR82054010268002081790900", "XX89370400440532013000"]
    )
    def test_a_wrong_one_is_none(self, wrong: str) -> None:
        assert "iban" not in [kind for kind, _ in kinds(wrong)]

    @given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
    def test_two_check_digits_make_any_account_one(self, country: str, data: st.DataObject) -> None:
        """R-DATA-5: ISO 13616."""
        size = IBAN_LENGTHS[country] - 4
        account = data.draw(st.text("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=size, max_size=size))
        number = int("".join(str(int(char, 36)) for char in f"{account}{country}00"))
        right = f"{98 - number % 97:02d}"
        assert is_iban(country + right + account)
        assert not is_iban(country + f"{(int(right) + 1) % 97:02d}" + account)


class TestCard:
    @pytest.mark.parametrize("card", ["6037991899754321", "6037 9918 9975 4321", "۶۰۳۷-۹۹۱۸-۹۹۷۵-۴۳۲۱"])
    def test_found_where_luhn_fits(self, card: str) -> None:
        """R-DATA-5."""
        digits = "".join(char for char in card if char.isdecimal()).translate(str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789"))
        fixed = digits[:15] + next(digit for digit in "0123456789" if is_card(digits[:15] + digit))
        written = card
        for old, new in zip(digits, fixed, strict=True):
            written = written if old == new else written[:-1] + (new if card.isascii() else new.translate(_PERSIAN))
        assert kinds(f"شماره کارت {written} بانک") == [("card", written)]

    @given(st.text("0123456789", min_size=16, max_size=16))
    def test_agrees_with_luhn_written_otherwise(self, digits: str) -> None:
        """R-DATA-5: from the right, each second digit doubled and its digits added."""
        total = sum(sum(divmod(int(d) * (1 + i % 2), 10)) for i, d in enumerate(reversed(digits)))
        assert is_card(digits) == (total % 10 == 0 and digits[0] != "0" and len(set(digits)) > 1)


class TestMasked:
    def test_no_full_value_stays(self) -> None:
        """R-DATA-5: what is shown is masked, several of them and Persian digits too."""
        text = "ایمیل sara.karimi@example.com، همراه ۰۹۱۲۱۲۳۴۵۶۷، کد ملی 0499370899، شبا IR820540102680020817909002"
        shown = masked(text)
        assert shown == "ایمیل s•••@•••.com، همراه ۰۹۱۲•••••۶۷، کد ملی 04••••••99، شبا IR82••••••••••••••••••••02"
        assert search(shown).found == []

    def test_an_id_with_a_wrong_digit_is_masked_as_a_valid_one_is(self) -> None:
        """R-DATA-5: it still tells whose it is."""
        assert masked("ids 0499370899 ۰۴۹۹۳۷۰۸۹۸ 049-937089-7") == "ids 04••••••99 ۰۴••••••۹۸ 04•-•••••9-7"

    @given(st.text("0123456789 -+@.aIR۰۹", max_size=60))
    def test_what_was_found_is_never_shown(self, text: str) -> None:
        """R-DATA-5: whatever stands around it."""
        for one in search(text).found:
            assert text[one.begin : one.end] not in masked(text) or "•" not in masked(text[one.begin : one.end])


def _check_digit(nine: str) -> str:
    rest = sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True)) % 11
    return str(rest if rest < 2 else 11 - rest)
