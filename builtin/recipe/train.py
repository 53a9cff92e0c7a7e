"""Trains the built-in model on what generate.ts wrote. Runs on a CPU; see ../README.md for how.

The learning rate warms up, stays, and falls at the end. The penalty on activations (L1) ramps up as
a quarter of a sine, as in ProSparse, and is steered by how many neurons are silent.
"""

import argparse
import json
import math
import os
import time
from dataclasses import asdict

import numpy as np
import torch
import torch.distributed as distributed
from torch.nn import functional as F

from model import Model, Shape, gguf_tensors


# Steps between looks at how many neurons are silent.
LOOK_STEPS = 10
# Workers go their own ways between meetings, where their weights become their mean.
MEET_STEPS = 20
TELL_STEPS = 100
SAVE_STEPS = 100


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="builtin", help="appears in the process list only")
    parser.add_argument("--data", required=True, help="folder that generate.ts wrote")
    parser.add_argument("--out", required=True, help="folder for checkpoints and weights")
    parser.add_argument("--resume", help="checkpoint to go on from")
    parser.add_argument("--weights", help="folder that restore.ts wrote: weights to begin with")
    parser.add_argument("--steps", type=int, default=6000, help="last step")
    parser.add_argument("--decay-steps", type=int, default=1500, help="in which the rate falls")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which it ends")
    parser.add_argument("--decay-share", type=float, default=0.25, help="of minutes")
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--batch-tokens", type=int, default=1280, help="per worker")
    parser.add_argument("--topics", type=float, default=0.3, help="weight of the topics' loss")
    parser.add_argument("--silent", type=float, default=0.93, help="share of neurons to reach")
    parser.add_argument("--penalty", type=float, default=0.02, help="largest weight of the L1")
    parser.add_argument("--penalty-from", type=int, default=500, help="step at which it begins")
    parser.add_argument("--penalty-steps", type=int, default=2000, help="in which it ramps up")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class Batches:
    """Conversations of similar length side by side, about `batch_tokens` ids together."""

    def __init__(self, folder, batch_tokens, seed):
        self.ids = np.fromfile(os.path.join(folder, "ids.u16"), np.uint16)
        self.weights = np.fromfile(os.path.join(folder, "weights.u8"), np.uint8)
        self.topics = np.fromfile(os.path.join(folder, "topics.u8"), np.uint8)
        self.ends = np.fromfile(os.path.join(folder, "ends.u32"), np.uint32).astype(np.int64)
        self.begins = np.concatenate(([0], self.ends[:-1]))
        self.batch_tokens = batch_tokens
        self.random = np.random.default_rng(seed)

    def __iter__(self):
        while True:
            order = self.random.permutation(len(self.ends))
            for chunk in np.array_split(order, max(1, len(order) // 8192)):
                yield from self.of_chunk(chunk)

    def of_chunk(self, chunk):
        lengths = self.ends[chunk] - self.begins[chunk]
        chunk = chunk[np.argsort(lengths, kind="stable")]
        groups, group = [], []
        for sample in chunk:
            length = self.ends[sample] - self.begins[sample]
            if group and length * (len(group) + 1) > self.batch_tokens:
                groups.append(group)
                group = []
            group.append(sample)
        groups.append(group)
        self.random.shuffle(groups)
        for group in groups:
            yield self.pad(group)

    def pad(self, samples):
        """Ids [b, t], 1 where the id is real, how much it counts as an answer, what it asks for."""
        length = max(self.ends[i] - self.begins[i] for i in samples)
        ids, real, weights, topics = np.zeros((4, len(samples), length), np.int64)
        for row, i in enumerate(samples):
            part = slice(self.begins[i], self.ends[i])
            ids[row, : part.stop - part.start] = self.ids[part]
            weights[row, : part.stop - part.start] = self.weights[part]
            topics[row, : part.stop - part.start] = self.topics[part]
            real[row, : part.stop - part.start] = 1
        return (torch.from_numpy(each) for each in (ids, real, weights, topics))


class Penalty:
    """The weight of the L1: ramps up, then follows the share of silent neurons."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.factor = 1.0

    def at(self, step):
        a = self.arguments
        ramp = min(1.0, max(0.0, (step - a.penalty_from) / a.penalty_steps))
        return a.penalty * self.factor * math.sin(ramp * math.pi / 2)

    def follow(self, silent, step):
        if step >= self.arguments.penalty_from:
            change = 0.86 if silent > self.arguments.silent else 1.1
            self.factor = min(4.0, max(0.002, self.factor * change))


def rate_at(step, minutes, arguments):
    warm = min(1.0, (step + 1) / 200)
    left = (arguments.steps - step) / arguments.decay_steps
    if arguments.minutes < math.inf:
        left = min(left, (1 - minutes / arguments.minutes) / arguments.decay_share)
    return arguments.rate * warm * max(0.03, min(1.0, left))


def make_optimizer(model, rate):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), foreach=True)


class TopicHead(torch.nn.Linear):
    """Guesses the answer's number at every id of a question; gone when training ends.

    It makes words tell what they are about long before the answer's first id does.
    """

    TOPICS = 256

    def __init__(self, width):
        super().__init__(width, self.TOPICS)

    def loss(self, hidden, topics):
        """Mean over all ids of questions: hidden [b, t, width], topics [b, t]."""
        asked = topics > 0
        if not asked.any():
            return hidden.sum() * 0
        return F.cross_entropy(self(hidden[asked]), topics[asked])


def loss_of(model, head, batch, penalty, arguments):
    """Loss per predicted id, and what each layer's neurons gave; `penalty` is for a mean over all."""
    ids, weights, topics = batch
    count = ids[:, 1:].numel() * model.shape.neurons
    hidden, fired = model(ids[:, :-1], penalty / count)
    wanted = weights[:, 1:] > 0
    each = F.cross_entropy(model.score(hidden[wanted]), ids[:, 1:][wanted], reduction="none")
    weight = weights[:, 1:][wanted].float()
    answers = (each * weight).sum() / weight.sum()
    return answers, arguments.topics * head.loss(hidden, topics[:, :-1]), fired


def silent_share(fired, real):
    """How many of the neurons gave nothing, of all real ids and layers."""
    here = real[:, :-1].bool()
    return 1 - sum((each[here] > 0).float().mean().item() for each in fired) / len(fired)


def write_weights(model, folder):
    """weights.f32, all tensors in a row, and weights.json, which says what lies where."""
    described, offset = [], 0
    with open(os.path.join(folder, "weights.f32"), "wb") as file:
        for name, tensor in gguf_tensors(model):
            values = tensor.detach().float().contiguous().numpy()
            file.write(values.tobytes())
            dims = list(reversed(values.shape))
            described.append({"name": name, "dims": dims, "offset": offset})
            offset += values.size
    with open(os.path.join(folder, "weights.json"), "w") as file:
        json.dump({"shape": asdict(model.shape), "tensors": described}, file)


def read_weights(model, folder):
    """What write_weights, or restore.ts, has written; optimizers and the topics' head begin anew."""
    with open(os.path.join(folder, "weights.json")) as file:
        described = {each["name"]: each for each in json.load(file)["tensors"]}
    floats = np.fromfile(os.path.join(folder, "weights.f32"), np.float32)
    with torch.no_grad():
        for name, tensor in gguf_tensors(model):
            begin = described[name]["offset"]
            values = torch.from_numpy(floats[begin : begin + tensor.numel()])
            # Parts of one parameter are views of it, so this writes into the parameter.
            tensor.copy_(values.view_as(tensor))


def save(folder, model, head, optimizers, penalty, step):
    state = {
        "model": model.state_dict(),
        "head": head.state_dict(),
        "optimizer": optimizers[0].state_dict(),
        "head_optimizer": optimizers[1].state_dict(),
        "penalty": penalty.factor,
        "step": step,
    }
    path = os.path.join(folder, "checkpoint.pt")
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)
    write_weights(model, folder)


def start_workers(count, folder):
    """Forks; the number of this process. Processes bear a busy machine better than threads."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    meeting = os.path.abspath(os.path.join(folder, "meeting"))
    if os.path.exists(meeting):
        os.remove(meeting)
    rank = next((rank for rank in range(1, count) if os.fork() == 0), 0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=count
    )
    return rank


def average_weights(weights, extra):
    """Makes all workers' weights their mean, and returns the mean of `extra`, [n]."""
    with torch.no_grad():
        flat = torch.cat([each.reshape(-1) for each in weights] + [torch.tensor(extra)])
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        *means, told = flat.split([each.numel() for each in weights] + [len(extra)])
        for weight, mean in zip(weights, means):
            weight.copy_(mean.view_as(weight))
    return told.numpy()


def resume(path, model, head, optimizers, penalty):
    """Goes on from a checkpoint; the step it was saved after."""
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizers[0].load_state_dict(state["optimizer"])
    if "head" in state:
        head.load_state_dict(state["head"])
        optimizers[1].load_state_dict(state["head_optimizer"])
    penalty.factor = state["penalty"]
    return state["step"]


def tell(step, sums, weight, speed):
    """A line of the log now and then; sums are of the steps since the last meeting."""
    if step % TELL_STEPS == 0:
        loss, topics, silent = sums[:3] / MEET_STEPS
        print(f"{step} loss {loss:.4f} topics {topics:.4f} silent {silent:.4f} l1 {weight:.4f} {speed:.0f} ids/s",
              flush=True)


def train(arguments):
    os.makedirs(arguments.out, exist_ok=True)
    rank = start_workers(arguments.workers, arguments.out)
    torch.manual_seed(arguments.seed)
    model = Model(Shape())
    head = TopicHead(model.shape.width)
    optimizers = [make_optimizer(each, arguments.rate) for each in (model, head)]
    parameters = [*model.parameters(), *head.parameters()]
    penalty = Penalty(arguments)
    if arguments.weights:
        read_weights(model, arguments.weights)
    first = resume(arguments.resume, model, head, optimizers, penalty) if arguments.resume else 0
    seed = 1000 * arguments.seed + first + 7 * rank
    batches = iter(Batches(arguments.data, arguments.batch_tokens, seed))
    told, sums = time.time(), np.zeros(4)
    started = told
    for step in range(first, arguments.steps):
        minutes = (time.time() - started) / 60
        ids, real, *wanted = next(batches)
        loss, topics, fired = loss_of(model, head, (ids, *wanted), penalty.at(step), arguments)
        update(loss + topics, optimizers, parameters, rate_at(step, minutes, arguments))
        if step % LOOK_STEPS == 0:
            silent = silent_share(fired, real)
            penalty.follow(silent, step)
        sums += (loss.item(), topics.item(), silent, float(real.sum()))
        if (step + 1) % MEET_STEPS != 0 and step + 1 != arguments.steps:
            continue
        means = average_weights(parameters, (*sums, minutes))
        is_over = step + 1 == arguments.steps or means[4] >= arguments.minutes
        sums = np.zeros(4)
        if rank == 0:
            speed = means[3] * arguments.workers / (time.time() - told)
            tell(step + 1, means, penalty.at(step), speed)
            told = time.time()
            if (step + 1) % SAVE_STEPS == 0 or is_over:
                save(arguments.out, model, head, optimizers, penalty, step + 1)
        if is_over:
            break


def update(loss, optimizers, parameters, rate):
    """One step down the gradient."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for optimizer in optimizers:
        optimizer.step()


if __name__ == "__main__":
    train(read_arguments())
