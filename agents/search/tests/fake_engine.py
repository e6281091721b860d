"""An engine for tests: speaks GTP or UCI, and misbehaves at its n-th move on a board where it is told to.

fake_engine.py gtp [fine|hang|die|crash|illegal|garbage|resign|deaf|flood|twice|stay|daemon N]    takes the first free
point, or passes
fake_engine.py uci [... N] [centipawns of the first player]    plays one line of chess whoever it is

twice: every answer comes again; late: again when the next one is asked for; after: again before the next one; odd: tabs
and spaces everywhere; stay: never ends by itself; daemon: starts a sleep of N seconds and a half in another session.
Where AGON_TEST_COUNT names a folder, it counts there how many run at a time.
"""

import atexit
import os
import signal
import subprocess
import sys
import time

LINE = "f2f3 e7e5 g2g4 d8h4".split()
LETTERS = "ABCDEFGHJ"

language, how, when = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "fine", int((sys.argv[3:] or ["1"])[0])
first = int(sys.argv[4]) if len(sys.argv) > 4 else 30

if folder := os.environ.get("AGON_TEST_COUNT"):
    own = os.path.join(folder, str(os.getpid()))
    open(own, "w").close()
    atexit.register(os.remove, own)
    with open(folder + ".counts", "a") as counts:
        counts.write(f"{len(os.listdir(folder))}\n")
if how == "daemon":
    subprocess.run(["sh", "-c", f"sleep {when}.5 &"], start_new_session=True, stdout=2)
if how == "stay":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def misbehave(number):
    """What it answers instead of its move; None where it behaves."""
    if how == "daemon":
        time.sleep(1000)
    if number != when or how in ("fine", "twice", "late", "after", "odd"):
        return None
    if how == "hang":
        time.sleep(1000)
    if how == "die":
        sys.stderr.write("loading\nfatal: no luck\n\n")
        sys.stderr.flush()
        sys.exit(7)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGABRT)
    while how == "flood":
        say("info string nothing\n" if language == "uci" else "= \n")
    return {"illegal": "Z9" if language == "gtp" else "e1e8", "resign": "resign"}.get(how, "garbage")


def leave():
    """It was told to quit, or nobody is there any more."""
    while how == "stay":
        time.sleep(1000)
    sys.stderr.write("good bye\n")
    sys.exit(0)


def gtp():
    size, taken, moves = 9, set(), 0
    for line in sys.stdin:
        words = line.split()
        if how == "deaf":
            time.sleep(1000)
        answer, sign = "", "="
        if words[0] == "quit":
            break
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
        if how == "odd":
            say(f"\r\n  {sign}\t {answer} \t\r\n \r\n" if moves % 2 else f"{sign}\r\n{answer}\r\n\r\n")
            continue
        say(f"{sign} {answer}\n\n" * (2 if how == "twice" and answer else 1))
    leave()


def uci():
    moves, made, asked, again = 0, [], False, ""
    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            break
        if words[0] == "uci" and how == "odd":
            say("\ufeff  id   name\tfake\r\n\toption  name\tSkill   Level\ttype  spin default 20\r\n\t uciok \r\n")
        elif words[0] == "uci":
            say("id name fake\noption name Skill Level type spin default 20\nuciok\n")
        elif words[0] == "ucinewgame":
            again = ""
        elif words[0] == "isready":
            asked = True
            if how == "late":
                say(again)
            say("readyok\n")
        elif words[0] == "position":
            asked = False
            made = words[words.index("moves") + 1 :] if "moves" in words else []
        elif words[0] == "go":
            if not asked:
                sys.exit(9)
            moves += 1
            wrong = misbehave(moves)
            line = LINE[len(made) :]
            own = first if len(made) % 2 == 0 else -first
            if how == "after":
                say(again)
            again = f"info depth 9 score cp 999 pv {line[0]}\nbestmove {wrong or line[0]}\n"
            if how == "odd":
                say(f"\tinfo  depth 3\tmultipv  1 score\tcp  {own} nodes\t99  pv\t{'  '.join(line)}\r\n")
                say(f"  bestmove \t{line[0]}\tponder  a2a3\r\n")
                continue
            say(f"info depth 3 multipv 1 score cp {own} nodes 99 pv {' '.join(line)}\n")
            say(f"bestmove {wrong or line[0]}\n")
            if how == "twice":
                say(again)
    leave()


gtp() if language == "gtp" else uci()
