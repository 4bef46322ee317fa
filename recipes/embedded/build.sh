#!/bin/sh
# Rebuild the embedded model from nothing: sh recipes/embedded/build.sh FOLDER. Each step takes itself up where it stopped,
# so a machine that is lent for minutes at a time can do it in pieces: PAUSE=9 ends after nine minutes, and the same command goes on.
# DEVICE=cuda trains on a GPU, in bfloat16 and larger batches; lengths are pictures, the same on every machine.
# TRY=1 walks the whole road in some minutes, in a copy of the repository: it replaces the shipped weights by ones that
# have learnt next to nothing.
set -eu
run=$1
here=$(dirname "$0")
python=${PYTHON:-python3}
device=${DEVICE:-cpu}
count=96000 share=1 scenes=200
set --
test "$device" = cpu || set -- base.precision=bfloat16
if test -n "${TRY:-}"; then
    count=256 share=0.0004 scenes=4
    set -- "$@" "length=10 steps" data.count=32 data.held_out=4 eval.fidelity_samples=2 eval.preview_samples=2
fi
export OMP_NUM_THREADS=1
began=$(date +%s)
# What is left of PAUSE, in minutes; at nothing the whole script ends, to be called again.
left() {
    test -n "${PAUSE:-}" || { echo inf; return; }
    echo "$PAUSE $(($(date +%s) - began))" | awk '{print $1 - $2 / 60}'
}
pictures() { echo "$1 $share" | awk '{printf "%d", $1 * $2}'; }
# train RESULT SCRIPT PICTURES ARGUMENTS...: until RESULT is there; ends the script when it is time to pause.
train() {
    result=$1 script=$2 length=$(pictures "$3")
    shift 3
    test -e "$result" && return
    "$python" "$here/$script" "$@" --pictures "$length" --device "$device" --pause-after "$(left)"
    test -e "$result" || { echo "paused; the same command goes on"; exit 0; }
}
test -f "$run/scenes/captions.json" || "$python" "$here/scenes.py" "$run/scenes" --count "$count"
train "$run/autoencoder/vae" autoencoder.py 300000 "$run/scenes" "$run/autoencoder"
"$python" "$here/encode.py" "$run/scenes" "$run/autoencoder" --device "$device" --pause-after "$(left)"
test -e "$run/autoencoder/latents.all" || { echo "paused; the same command goes on"; exit 0; }
train "$run/text/text_encoder" text.py 120000 "$run/text"
train "$run/base/pipeline" base.py 1200000 "$run/scenes" "$run/autoencoder" "$run/text" "$run/base"
train "$run/annotator/annotator.safetensors" annotator.py 200000 "$run/scenes" "$run/annotator" --autoencoder "$run/autoencoder"
# The adapters' recipes ask for the embedded base, so it has to be in its place before them.
"$python" "$here/install.py" "$run"
for kind in sketch canny depth seg openpose color; do
    folder="$run/adapters/$kind"
    if ! test -f "$folder/adapter/config.json"; then
        resume=; if test -d "$folder/checkpoints"; then resume=--resume; fi
        "$python" -m armature train "$here/$kind.toml" "run=$folder" "cache.folder=$run/cache" "$@" $resume
        "$python" "$here/install.py" "$run"
    fi
    test -f "$run/reports/$kind/report.json" ||
        "$python" -m armature evaluate "embedded:$kind" --data toyworld --count "$scenes" --batch 8 --out "$run/reports/$kind"
done
"$python" "$here/evaluate.py" "$run/figures.json" --count "$scenes"
"$python" "$here/card.py" "$run"
