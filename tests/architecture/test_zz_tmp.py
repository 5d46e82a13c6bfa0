import pytest
@pytest.mark.node
def test_a(): pytest.skip("no node")
@pytest.mark.browser
@pytest.mark.skipif(True, reason="no chromium")
def test_b(): pass
def test_c(): pytest.skip("other")
@pytest.mark.node
@pytest.mark.xfail
def test_d(): assert 0
