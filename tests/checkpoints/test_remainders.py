"""The rest of a resumed epoch, in which metrics count no row of the last batch twice."""

import pytest
from accelerate.data_loader import (
    BatchSamplerShard,
    DataLoaderShard,
    SkipBatchSampler,
    skip_first_batches,
)
from torch.utils.data import BatchSampler, SequentialSampler

from r1trl.checkpoints.carried import count_remainders


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("rows", "remainder"), [(17, 1), (22, 6), (24, 0)])
def test_the_last_batch_of_a_rest_has_as_many_rows_as_in_the_whole(
    rows: int, remainder: int, drop_last: bool
) -> None:
    count_remainders()
    data = list(range(rows))
    batches = BatchSampler(SequentialSampler(data), 4, drop_last)
    shard = BatchSamplerShard(batches, num_processes=2, process_index=0)
    whole = DataLoaderShard(data, batch_sampler=shard, _drop_last=drop_last)
    rest = skip_first_batches(whole, 1)
    assert isinstance(rest.batch_sampler, SkipBatchSampler)
    for loader in (whole, rest):
        loader.begin()
        assert loader.remainder == (-1 if drop_last else remainder)
        loader.end()
