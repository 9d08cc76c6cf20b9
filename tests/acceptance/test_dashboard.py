"""The dashboard in a real browser, where there is one: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.processes import KEY, Process, supervisor

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402 - only where it is there

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROLE = """
from supervisor import Context, Role


class Patient(Role[str, str]):
    description = "<script>document.title = 'broken into'</script>"

    async def handle(self, job: str, ctx: Context) -> str:
        return (await ctx.ask(job)).text
"""

CONFIG = """
[quota]
limits = ["2 requests / 30s"]

[budget]
total = "5 usd / day"

[[schedule]]
cron = "0 3 * * *"
role = "patient"
input = "good morning"
name = "morning"

[[schedule]]
cron = "@yearly"
role = "nobody"
name = "never"
"""

# A browser on a machine that has other things to do: nothing here is about how quick it is.
expect.set_options(timeout=20_000)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(90),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@contextmanager
def opened(process: Process, troubles: list[str]) -> Generator[Page]:
    """The page in a browser; what the browser complains of is collected."""
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda said: troubles.append(said.text) if said.type == "error" else None,
        )
        page.goto(process.base)
        yield page
        browser.close()


def test_a_person_can_work_with_it(tmp_path: Path) -> None:
    """It is live, its buttons act, what others wrote is text, and nothing breaks its policy."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "patient.py").write_text(ROLE)
    (tmp_path / "config.toml").write_text(CONFIG)
    troubles: list[str] = []
    with supervisor(tmp_path, "web.port=0", simulate=True) as process:
        with opened(process, troubles) as page:
            expect(page.locator("#link")).to_have_attribute("data-state", "live")
            expect(page.locator("#windows")).to_contain_text("2 requests")
            jobs = [
                process.post("/api/jobs", {"role": "patient", "input": f"question {number}"})["id"]
                for number in range(4)
            ]
            expect(page.locator("#jobs tbody")).to_have_count(4)
            expect(page.locator("#queue")).to_contain_text("patient")
            page.get_by_role("button", name=f"Cancel job {jobs[3][:8]}").click()
            row = page.locator(f'#jobs tbody[data-key="{jobs[3]}"]')
            expect(row).to_contain_text("cancelled")
            for job in jobs:
                # A role that is stopped lets its jobs end first, for some seconds.
                process.post(f"/api/jobs/{job}/cancel", None)
            start = page.get_by_role("button", name="Start patient", exact=True)
            stop = page.get_by_role("button", name="Stop patient", exact=True)
            stop.click()
            expect(start).to_be_visible()
            start.click()
            expect(stop).to_be_visible()
            sees_money_and_clocks(page)
            page.locator("#brake").click()
            expect(page.locator("#status")).to_contain_text("paused")
            assert page.title() == "Supervisor"
            assert KEY not in page.content()
            page.screenshot(path=tmp_path / "dashboard.png", full_page=True)
        assert process.stop() == 0
    assert troubles == []


def sees_money_and_clocks(page: Page) -> None:
    """Budgets with their ends, the key and a look for a new one, schedules and one of them now."""
    budgets = page.locator("#budgets li")
    expect(budgets).to_have_count(1)
    expect(budgets).to_contain_text("everybody 5 usd / day")
    expect(budgets).to_contain_text("of $5.00 spent")
    expect(budgets).to_contain_text("left · new in")
    expect(page.locator("#forecast")).to_contain_text("This month $")
    expect(page.locator("#key-state")).to_have_text("in use")
    expect(page.locator("#key")).to_contain_text("the simulated API")
    page.get_by_role("button", name="Look for a new key").click()
    expect(page.locator("#key")).to_contain_text("unchanged, by hand: there is nothing to rotate")
    never = page.locator('#schedules tr[data-key="never"]')
    expect(never).to_contain_text("cannot run")
    expect(never).to_contain_text('no role is called "nobody"')
    morning = page.locator('#schedules tr[data-key="morning"]')
    expect(morning).to_contain_text("0 3 * * * UTC")
    expect(morning).to_contain_text("none yet")
    page.get_by_role("button", name="Run morning now").click()
    expect(morning).to_contain_text("running")
    expect(page.locator("#jobs tbody")).to_have_count(5)
