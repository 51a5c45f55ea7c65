#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A reader that is too slow: what finds no room on its way to it is counted, and no request notices.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# Two hundred kilobytes a second, until the file `fast` is there.
cat >"$TMP/slow.py" <<'END'
import os, sys, time
with open(sys.argv[1], "wb") as out:
    while part := os.read(0, 1 << 16):
        out.write(part)
        if not os.path.exists(sys.argv[2]):
            time.sleep(0.3)
END

net__pair 1
nginx__start "$SRV"
for sample in inline copy; do
    rm -f "$TMP/fast" "$CAP_FILE"
    bg "$SRV" bash -c "exec $WIREWHO capture -i $SRV_IF -w - --sample $sample 'tcp port 80' \
        > >(exec python3 $TMP/slow.py $CAP_FILE $TMP/fast)" 2>"$CAP_ERR"
    CAP_PID=$BG_PID
    eventually 20 cap__began || die "wirewho does not begin to capture: $(cat "$CAP_ERR")"
    wrk__run "$CLI" 5 32 "http://$SRV4/small?$(printf '%01000d' 0)"
    touch "$TMP/fast"
    cap__end
    at_least "$sample: no room on the way to the reader" "$(cap__number output_dropped)" 1
    at_least "$sample: written" "$(cap__number written)" 1000
    eventually 10 eval '[ "$(cap__packets)" = "$(cap__number written)" ]' ||
        is "$sample: packets at the reader" "$(cap__packets)" "$(cap__number written)"
    [ $sample = copy ] || is "put back" "$(cap__number put_back)" "$(cap__number delivered)"
done
