#!/usr/bin/env bash
# The work of `trigger_workflow idea_to_feature` on the demo's sample, as a plain script that trusts everybody:
# the same agents (one process each), the same test runs, a clone, two commits, a push. Nothing is
# recorded, checked or survivable.
#
# usage: whole_job.sh REMOTE WORK CASSETTE PLAYER
set -euo pipefail
remote=$1 work=$2 cassette=$3 player=$4

agent() { # STAGE TAKE
    mkdir -p "$work/outputs/$1"
    PIPELINE_OUTPUT_DIR=$work/outputs/$1 python -I -S "$player" "$cassette/$1/$2" >"$work/$1.$2.answer.md"
}

runs_of_tests=0
tests() { # [FILE]
    runs_of_tests=$((runs_of_tests + 1))
    python -m pytest -q "$@" -p no:cacheprovider >"$work/$runs_of_tests.tests.log"
}

red() { # [FILE]
    if tests "$@"; then
        echo "the tests pass too early" >&2
        exit 1
    fi
}

git clone --quiet "$remote" "$work/checkout"
cd "$work/checkout"
git checkout --quiet -b feature/risk-monitor
tests

agent planner 1
agent coordinator 1
agent sdk_analyst 1 &
agent doc_reviewer 1 &
agent integration_check 1 &
wait

agent create_tests 1
red
git add tests
git commit --quiet -m "test: add a risk monitor (failing)"

agent developer 1
agent verify 1
red
red tests/test_risk.py
agent developer 2
agent verify 2
tests

agent doc_review_final 1 &
agent integration_validator 1 &
wait
git add src
git commit --quiet -m "feat: add a risk monitor"
git push --quiet origin feature/risk-monitor
