"""Random games of OpenSpiel, to compare Agon's games with, decision by decision.

    python3 tests/golden/open_spiel.py [--scale 1.0] [--seed 1] [--out tests/golden/open_spiel]

Needs the package `open-spiel` 2.0.2. Writes a file a game, a line for each play of it:

    actions | CRC-32 of all legal actions | returns

The checksum runs over the text of each decision: the legal actions in order, joined by commas, for chance each with its
probability in millionths, and a semicolon. Actions are OpenSpiel's numbers; points for Go; coordinates for chess.

OpenSpiel ends a game of Go as a draw where a position is repeated; by positional superko such a move is not legal, so it
is neither listed nor played here.

At 2048 OpenSpiel 2.0.2 leaves out moves that only merge a tile made by the last move (its marks of merged tiles are
cleared when a move is made, not when moves are listed), though it plays them correctly. They are listed here.
"""

import argparse
import random
import zlib
from pathlib import Path

import pyspiel

# Agon's name, OpenSpiel's game, how many plays.
GAMES = [
    ("tic-tac-toe", "tic_tac_toe", 300),
    ("connect-four", "connect_four", 500),
    ("othello", "othello", 150),
    ("go", "go(board_size=9,komi=7.5)", 60),
    ("hex", "hex(board_size=5)", 200),
    ("chess", "chess", 60),
    ("kuhn-poker", "kuhn_poker", 60),
    ("leduc-poker", "leduc_poker", 500),
    ("2048", "2048(max_tile=64)", 60),
    ("backgammon", "backgammon(scoring_type=full_scoring)", 80),
    ("liars-dice", "liars_dice(numdice=2)", 300),
]


def namer(name, state):
    """How an action of this position is written."""
    if name == "chess":
        board = state.board()
        return lambda a: pyspiel.chess.action_to_move(a, board).to_lan()
    if name == "go":
        return lambda a: state.action_to_string(a).split()[1].upper()
    return str


def repeats(state, action):
    """Whether a move of Go repeats a position."""
    words = state.action_to_string(action)
    if words.endswith("PASS") or state.move_number() + 1 >= 162:
        return False
    return state.child(action).is_terminal()


def slides(state):
    """The moves of 2048 that change the board: up, right, down, left."""
    tiles = [int(x) for x in state.observation_tensor(0)]
    rows = [tiles[i : i + 4] for i in range(0, 16, 4)]
    columns = [list(column) for column in zip(*rows)]
    moves = lambda line: any(b and a in (0, b) for a, b in zip(line, line[1:]))
    turned = lambda lines: [line[::-1] for line in lines]
    sides = [columns, turned(rows), turned(columns), rows]
    return [a for a, lines in enumerate(sides) if any(moves(line) for line in lines)]


def play(name, game, rng):
    state, played, crc = game.new_initial_state(), [], 0
    while not state.is_terminal():
        if state.is_chance_node():
            outcomes = state.chance_outcomes()
            text = ",".join(f"{a}:{round(p * 1e6)}" for a, p in sorted(outcomes))
            [action] = rng.choices([a for a, _ in outcomes], [p for _, p in outcomes])
            word = str(action)
        else:
            legal = state.legal_actions()
            if name == "go":
                legal = [a for a in legal if not repeats(state, a)]
            if name == "2048":
                assert set(legal) <= set(slides(state))
                legal = slides(state)
            write = namer(name, state)
            words = [write(a) for a in legal]
            text = ",".join(sorted(words) if name in ("chess", "go") else words)
            pick = rng.randrange(len(legal))
            action, word = legal[pick], words[pick]
        crc = zlib.crc32(f"{text};".encode(), crc)
        played.append(word)
        state.apply_action(action)
    # OpenSpiel's player 0 is Black at chess; Agon's is who begins.
    returns = reversed(state.returns()) if name == "chess" else state.returns()
    returns = " ".join(f"{r:g}" for r in returns)
    return f"{' '.join(played)} | {crc} | {returns}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="times as many plays")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "open_spiel")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, spiel, plays in GAMES:
        game, rng = pyspiel.load_game(spiel), random.Random(f"{args.seed} {name}")
        lines = [play(name, game, rng) for _ in range(max(1, int(plays * args.scale)))]
        (args.out / f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
