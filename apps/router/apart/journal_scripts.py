"""What a journal does in Redis in one go each: write a round, take a job over.

A journal is a stream whose ids are "<epoch>-<n>". Redis takes no id below the last one, so whoever
has taken a job over with a higher epoch shuts out a home that was stopped and goes on writing.
An epoch is the time in ms, or one more than the last: a reader's last id stays good when Redis has
lost its data.
"""

from typing import Final

from apps.router.apart import keys

# KEYS: journals. ARGV, for each: the epoch that the writer had when Redis may have lost its data
# (else ""), the epoch, "1" when what is written is the whole and all before it may go, for how many
# ms it is of use ("": as said before), entries. Returns {which, why} of those not written; the why
# is "taken" when another home has the job, "gone" when there is nothing that entries go on from.
WRITE_ROUND: Final = """
local function last_epoch(key)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return last and tonumber(string.match(last[1], '^%d+'))
end
local function write(key, had, epoch, is_whole, entries)
  if had ~= '' and (last_epoch(key) or 0) > tonumber(had) then
    return 'taken'
  end
  local answer
  if is_whole == '1' then
    answer = redis.pcall('XADD', key, 'MAXLEN', '1', epoch .. '-*', 'b', entries)
  else
    answer = redis.pcall('XADD', key, 'NOMKSTREAM', epoch .. '-*', 'b', entries)
  end
  if not answer then
    return 'gone'
  end
  if answer.err and string.find(answer.err, 'equal or smaller', 1, true) then
    return 'taken'
  end
  return answer.err
end
local failed = {}
for i, key in ipairs(KEYS) do
  local had, epoch, is_whole, kept_ms, entries = unpack(ARGV, 5 * i - 4, 5 * i)
  local why = write(key, had, epoch, is_whole, entries)
  if why then
    table.insert(failed, {i - 1, why})
  elseif kept_ms ~= '' then
    redis.call('PEXPIRE', key, kept_ms)
  end
end
return failed
"""

# KEYS: a journal. ARGV: now in ms. Returns {} when there is none, else {epoch, what stands in it}.
TAKE_OVER: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last then
  return {}
end
local had = tonumber(string.match(last[1], '^%d+'))
local epoch = string.format('%.0f', math.max(had + 1, tonumber(ARGV[1])))
local entries = redis.call('XRANGE', KEYS[1], '-', '+')
redis.call('XADD', KEYS[1], epoch .. '-*', 'taken', '')
return {epoch, entries}
"""


class Round:
    """The writing of one round, as it is gathered."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._arguments: list[str | bytes | int] = []

    def add(
        self,
        job_id: str,
        entries: bytes,
        *,
        epoch: int,
        had_epoch: int | None,
        is_whole: bool,
        kept_ms: int | None,
    ) -> None:
        """Have entries written into a job's journal."""
        self._keys.append(keys.journal(job_id))
        had, kept = "" if had_epoch is None else had_epoch, "" if kept_ms is None else kept_ms
        self._arguments += (had, epoch, "1" if is_whole else "", kept, entries)

    @property
    def command(self) -> tuple[str | bytes | int, ...]:
        """The words of the command."""
        return ("EVAL", WRITE_ROUND, len(self._keys), *self._keys, *self._arguments)
