#!/bin/sh
# Grades one part of a class as a task of a Slurm job array: part K of N where K is the task and N their number.
#
#   cd the course's folder
#   job=$(sbatch --parsable docs/class/slurm.sh SUBMISSIONS PARTS)
#   sbatch --dependency="afterok:$job" --wrap './grade.sh class merge PARTS/* --out RESULTS'
#
# SUBMISSIONS and PARTS have to be seen by every node. A task that was stopped goes on where it was when it is queued again.
#SBATCH --job-name=class
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=class-%A-%a.log
set -eu

if [ $# -ne 2 ]; then
    echo "usage: sbatch docs/class/slurm.sh SUBMISSIONS PARTS" >&2
    exit 2
fi
part=$SLURM_ARRAY_TASK_ID
parts=$SLURM_ARRAY_TASK_COUNT

# On the node's own disk: building on a file system of the network is slow, and its locks are not to be relied on.
CARGO_TARGET_DIR=${TMPDIR:-/tmp}/class-$SLURM_JOB_ID
export CARGO_TARGET_DIR
trap 'rm -rf "$CARGO_TARGET_DIR"' EXIT

# What a group of processes may use is limited as well where Slurm uses cgroups.
./grade.sh class "$1" --out "$2/$part" --shard "$part/$parts" --jobs "${SLURM_CPUS_PER_TASK:-1}"
