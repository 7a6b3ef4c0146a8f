import torch

from m3dfel.data.seeds import combine_seeds, seeded


def test_neighboring_numbers_give_unrelated_seeds():
    seeds = [combine_seeds(0, epoch, clip) for epoch in range(4) for clip in range(50)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert combine_seeds(1, 2) == combine_seeds(1, 2) != combine_seeds(2, 1)
    ones = torch.tensor([bin(seed).count("1") for seed in seeds], dtype=torch.float64)
    assert abs(ones.mean() - 31.5) < 2, "half of the bits, as of random numbers"


def test_numbers_depend_on_the_seed_alone_and_others_go_on_as_if_nothing_had_been():
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    before = torch.rand(2)
    with seeded(7):
        first = torch.rand(3)
    after = torch.rand(2)
    with seeded(7):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.cat([before, after]), expected)
