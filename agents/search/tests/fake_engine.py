"""An engine for tests: speaks GTP or UCI, and misbehaves at its n-th move on a board where it is told to.

fake_engine.py gtp [fine|hang|die|illegal|garbage|resign|deaf|flood N]    takes the first free point, or passes
fake_engine.py uci [... N] [centipawns of the first player]    plays one line of chess whoever it is
"""

import sys
import time

LINE = "f2f3 e7e5 g2g4 d8h4".split()
LETTERS = "ABCDEFGHJ"

language, how, when = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "fine", int((sys.argv[3:] or ["1"])[0])
first = int(sys.argv[4]) if len(sys.argv) > 4 else 30


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def misbehave(number):
    """What it answers instead of its move; None where it behaves."""
    if number != when or how == "fine":
        return None
    if how == "hang":
        time.sleep(1000)
    if how == "die":
        sys.exit(7)
    while how == "flood":
        say("info string nothing\n" if language == "uci" else "= \n")
    return {"illegal": "Z9" if language == "gtp" else "e1e8", "resign": "resign"}.get(how, "garbage")


def gtp():
    size, taken, moves = 9, set(), 0
    for line in sys.stdin:
        words = line.split()
        if how == "deaf":
            time.sleep(1000)
        answer, sign = "", "="
        if words[0] == "boardsize":
            size = int(words[1])
            sign = "=" if size < 10 else "?"
        elif words[0] == "clear_board":
            taken, moves = set(), 0
        elif words[0] == "play":
            taken.add(words[2].upper())
        elif words[0] == "genmove":
            moves += 1
            free = [f"{x}{y + 1}" for y in range(size) for x in LETTERS[:size] if f"{x}{y + 1}" not in taken]
            wrong = misbehave(moves)
            if wrong == "garbage":
                say("\x07 no reply at all\n\n")
                continue
            answer = wrong or (free[0] if size == 3 else "pass")
            taken.add(answer)
        elif words[0] != "komi":
            sign, answer = "?", "unknown command"
        say(f"{sign} {answer}\n\n")


def uci():
    moves, made = 0, []
    for line in sys.stdin:
        words = line.split()
        if words[0] == "uci":
            say("id name fake\noption name Skill Level type spin default 20\nuciok\n")
        elif words[0] == "isready":
            say("readyok\n")
        elif words[0] == "position":
            made = words[words.index("moves") + 1 :] if "moves" in words else []
        elif words[0] == "go":
            moves += 1
            wrong = misbehave(moves)
            line = LINE[len(made) :]
            own = first if len(made) % 2 == 0 else -first
            say(f"info depth 3 multipv 1 score cp {own} nodes 99 pv {' '.join(line)}\n")
            say(f"bestmove {wrong or line[0]}\n")


gtp() if language == "gtp" else uci()
