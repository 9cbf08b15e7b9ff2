"""The doctor's checks pass here, and fail where something is wrong."""

from vultus.pipeline.self_check import Check, check_installation


def test_this_installation_is_healthy() -> None:
    checks = check_installation()
    assert [check.name for check in checks] == ["weights", "provider", "detection", "embedding"]
    assert [check.name for check in checks if not check.is_ok] == []


def test_a_provider_that_is_not_there_is_a_finding_not_a_crash() -> None:
    by_name: dict[str, Check] = {check.name: check for check in check_installation(provider="NoProvider")}
    assert not by_name["provider"].is_ok
    assert "NoProvider" in by_name["provider"].detail
    assert by_name["weights"].is_ok
