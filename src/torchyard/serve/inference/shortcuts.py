"""The quick ways through an infer request over REST, and what they need to know of an engine."""

from __future__ import annotations

from typing import NamedTuple, final
from weakref import WeakKeyDictionary

from torchyard.core.errors import BadData
from torchyard.serve.engine import Engine
from torchyard.serve.inference import binary
from torchyard.serve.inference.bodies import InferBody, Wanted
from torchyard.serve.inference.outputs import Reply, reply_of
from torchyard.serve.inference.quick_bytes import ByteForm, form_of
from torchyard.serve.inference.quick_json import QuickJson
from torchyard.serve.inference.wishes import wishes_of

_MOST_KEPT = 512
_MOST_JSON_BYTES = 8192


class Shortcut(NamedTuple):
    """A request of one row: the row, the request's id, and how it is answered."""

    row: object
    id: str | None
    reply: Reply


@final
class Shortcuts:
    """What is known of one release's requests. It holds no engine, or none would ever be let go.

    Args:
        engine: the release.
    """

    def __init__(self, engine: Engine) -> None:
        self._decoder = engine.decoder
        self._json: QuickJson | None = None
        self._forms: dict[bytes, tuple[ByteForm, Reply]] = {}
        self._replies: dict[tuple[str, ...], Reply] = {}

    def read(self, engine: Engine, body: bytes, header: bytes | None) -> Shortcut | None:
        """A request, where it is an ordinary one; None where the plain path has to look.

        Args:
            engine: who answers.
            body: whole.
            header: ``Inference-Header-Content-Length``, None where the client sent none.

        Raises:
            BadUsage: the header is not a length within the body.
        """
        if header is None:
            return self._read_json(engine, body)
        text, content = binary.split(body, header)
        known = self._forms.get(text)
        if known is None:
            return None
        form, reply = known
        row = form.read(content)
        return None if row is None else Shortcut(row, None, reply)

    def keep(self, body: bytes, header: bytes | None, request: InferBody, reply: Reply) -> None:
        """Learn from a request that the plain path has read; one with an id comes but once."""
        if header is None or request.id is not None or int(header) > _MOST_JSON_BYTES:
            return
        form = form_of(request.inputs, self._decoder)
        if form is not None:
            if len(self._forms) >= _MOST_KEPT:
                self._forms.clear()
            self._forms[body[: int(header)]] = form, reply

    def _read_json(self, engine: Engine, body: bytes) -> Shortcut | None:
        if self._json is None:
            self._json = QuickJson(self._decoder)
        asked = self._json.read(body)
        if asked is None:
            return None
        reply = self._replies.get(asked.outputs) or self._reply(engine, asked.outputs)
        return None if reply is None else Shortcut(asked.row, asked.id, reply)

    def _reply(self, engine: Engine, outputs: tuple[str, ...]) -> Reply | None:
        try:
            wishes = wishes_of(engine, None, [Wanted(name) for name in outputs])
        except BadData:
            return None
        if len(self._replies) >= _MOST_KEPT:
            self._replies.clear()
        reply = self._replies[outputs] = reply_of(engine, wishes)
        return reply


_KNOWN: WeakKeyDictionary[Engine, Shortcuts] = WeakKeyDictionary()


def shortcuts_of(engine: Engine) -> Shortcuts:
    """An engine's; they are forgotten with it."""
    known = _KNOWN.get(engine)
    if known is None:
        known = _KNOWN[engine] = Shortcuts(engine)
    return known
