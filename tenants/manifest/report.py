"""What an apply did, object by object, and the secrets that it made, which are told this once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """Paths such as `acme/sources/web` under what happened to them."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    write_keys: dict[str, list[str]] = field(default_factory=dict, repr=False)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    addresses: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def note(self, path: str, *, is_changed: bool) -> None:
        (self.changed if is_changed else self.unchanged).append(path)

    def as_json(self) -> dict[str, object]:
        lists: dict[str, object] = {"created": self.created, "changed": self.changed, "unchanged": self.unchanged}
        once = {"write_keys": self.write_keys, "secrets": self.secrets, "addresses": self.addresses}
        return {**lists, **{name: values for name, values in once.items() if values}}

    def as_lines(self) -> list[str]:
        """The same for people."""
        named = (("created", self.created), ("changed", self.changed), ("unchanged", self.unchanged))
        lines = [f"{word:<10}{path}" for word, paths in named for path in paths]
        if self.write_keys or self.secrets:
            lines += ["", "Shown this once; keep them now:"]
        lines += [f"  {path}  write key  {key}" for path, keys in self.write_keys.items() for key in keys]
        lines += [f"  {path}  address  {url}" for path, urls in self.addresses.items() for url in urls]
        lines += [
            f"  {path}  {name}  {value}" for path, values in self.secrets.items() for name, value in values.items()
        ]
        return lines
