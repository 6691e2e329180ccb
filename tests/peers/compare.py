"""Times ours and the others' training in turn and prints the table of README.md: python compare.py BENCH TOOL …

BENCH is our program, a TOOL one that train.py knows. On one core, then on all, three rounds each; the ratio is ours to
theirs within a round, its median and its range.
"""
import os, pathlib, statistics, subprocess, sys

NETWORKS = [("128,64,64", 16, 20_000), ("128,64,64", 64, 20_000), ("512,256", 64, 20_000), ("1000,500", 32, 10_000),
            ("1000,500", 128, 10_000), ("1000,500", 512, 10_000), ("2500,2000,1500,1000,500", 128, 2_000)]
ROUNDS = 3
bench, *tools = sys.argv[1:]
cores = sorted(os.sched_getaffinity(0))


def rate(command, on):
    return float(subprocess.run(["taskset", "-c", on, *map(str, command)], check=True, capture_output=True, text=True)
                 .stdout.split()[-1])


print("images a second, median of three rounds; after each of theirs, how many times as fast ours is\n")
for on in dict.fromkeys([str(cores[-1]), ",".join(map(str, cores))]):
    used = on.count(",") + 1
    print(f"| {used} core{'s' * (used > 1)}: hidden layers | batch | ours | ours, no pixel is 0 | {' | '.join(tools)} |")
    print("|---|---|---|---|" + "---|" * len(tools))
    for network in NETWORKS:
        ours, plain, theirs = [], [], {tool: [] for tool in tools}
        for _ in range(ROUNDS):
            ours.append(rate([bench, *network], on))
            plain.append(rate([bench, *network, "--no-zeros"], on))
            for tool, rates in theirs.items():
                rates.append(rate([sys.executable, pathlib.Path(__file__).with_name("train.py"), tool, *network], on))
        cells = [network[0].replace(",", ", "), str(network[1]), *(f"{statistics.median(r):,.0f}" for r in (ours, plain))]
        for rates in theirs.values():
            ratios = sorted(a / b for a, b in zip(ours, rates))
            cells.append(f"{statistics.median(rates):,.0f}: {ratios[ROUNDS // 2]:.2f} × "
                         f"({ratios[0]:.2f}–{ratios[-1]:.2f})")
        print(f"| {' | '.join(cells)} |", flush=True)
    print()
