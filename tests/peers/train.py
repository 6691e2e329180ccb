"""One epoch of the same training elsewhere: python train.py TOOL HIDDEN BATCH IMAGES, as numpy 128,64,64 16 60000

TOOL is numpy, jax or torch. Prints how many images a second it trains on: the best of three epochs, the first of which
also compiles. Sigmoid, cross-entropy, summed gradients, shuffled, without evaluation; as many threads as it has cores
(`taskset -c 0` for one).
"""
import gzip, os, pathlib, sys, time

cores = len(os.sched_getaffinity(0))
os.environ["OPENBLAS_NUM_THREADS"] = str(cores)
import numpy as np

tool, hidden, batch, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
widths = [784, *map(int, hidden.split(",")), 10]
rate = 0.02 * 16 / batch
count -= count % batch
rng = np.random.default_rng(1)
read = lambda name, start: np.frombuffer(
    gzip.open(pathlib.Path(__file__).parents[2] / f"raw_data/train-{name}-ubyte.gz").read(), np.uint8, offset=start)
x = ((read("images-idx3", 16).reshape(-1, 784) - np.float32(127.5)) / np.float32(255))[:count]
y = read("labels-idx1", 8)[:count].astype(np.int64)
params = [[rng.normal(0, (2 / (i + o)) ** 0.5, (i, o)).astype(np.float32), np.zeros(o, np.float32)]
          for i, o in zip(widths, widths[1:])]


def with_numpy(order):
    for rows in order.reshape(-1, batch):
        a = [x[rows]]
        for n, (w, b) in enumerate(params):
            z = a[-1] @ w + b
            a.append(z if n == len(params) - 1 else 1 / (1 + np.exp(-z)))
        p = np.exp(a[-1] - a[-1].max(1, keepdims=True))
        d = p / p.sum(1, keepdims=True)
        d[np.arange(batch), y[rows]] -= 1
        for n, (w, b) in reversed(list(enumerate(params))):
            gradient = a[n].T @ d, d.sum(0)
            if n:
                d = (d @ w.T) * a[n] * (1 - a[n])
            w -= rate * gradient[0]
            b -= rate * gradient[1]


def with_jax():
    import jax, jax.numpy as jnp

    def loss(params, x, y):
        for w, b in params[:-1]:
            x = jax.nn.sigmoid(x @ w + b)
        logits = x @ params[-1][0] + params[-1][1]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).sum()

    def step(params, batch):
        return jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params, *batch)), None

    scan = jax.jit(lambda params, xs, ys: jax.lax.scan(step, params, (xs, ys))[0], donate_argnums=0)
    state = [jax.tree.map(jnp.asarray, params)]

    def epoch(order):
        xs, ys = jnp.asarray(x[order].reshape(-1, batch, 784)), jnp.asarray(y[order].reshape(-1, batch))
        state[0] = jax.block_until_ready(scan(state[0], xs, ys))
    return epoch


def with_torch():
    import torch
    torch.set_num_threads(cores)
    layers = []
    for w, b in params:
        layers += [torch.nn.Linear(*w.shape), torch.nn.Sigmoid()]
        layers[-2].weight.data, layers[-2].bias.data = torch.from_numpy(w.T.copy()), torch.from_numpy(b)
    model = torch.nn.Sequential(*layers[:-1])
    loss, step = torch.nn.CrossEntropyLoss(reduction="sum"), torch.optim.SGD(model.parameters(), rate)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def epoch(order):
        for rows in torch.from_numpy(order).split(batch):
            step.zero_grad()
            loss(model(images[rows]), labels[rows]).backward()
            step.step()
    return epoch


epoch = {"numpy": lambda: with_numpy, "jax": with_jax, "torch": with_torch}[tool]()
best = float("inf")
for _ in range(3):
    order = rng.permutation(count)
    start = time.perf_counter()
    epoch(order)
    best = min(best, time.perf_counter() - start)
print(count / best)
