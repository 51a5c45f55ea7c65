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

# The packets that the file says were dropped before one of its own.
dropcounts() {
    python3 - "$CAP_FILE" <<-'END'
	import struct, sys
	data, at, total = open(sys.argv[1], "rb").read(), 0, 0
	while at < len(data):
	    kind, size = struct.unpack_from("<II", data, at)
	    if kind == 6:
	        caplen, = struct.unpack_from("<I", data, at + 20)
	        option = at + 28 + (caplen + 3) // 4 * 4
	        while option < at + size - 4:
	            code, length = struct.unpack_from("<HH", data, option)
	            if code == 4:
	                total += struct.unpack_from("<Q", data, option + 4)[0]
	            option += 4 + (length + 3) // 4 * 4
	    at += size
	print(total)
	END
}

net__pair 1
nginx__start "$SRV"
head -c 20000 /dev/zero | tr '\0' x >"$TMP/nginx/www/page" # some megabytes fill what is between us and the reader
for sample in inline copy; do
    if [ $sample = copy ]; then owners=--no-owners; else owners=; fi
    rm -f "$TMP/fast" "$CAP_FILE"
    bg "$CLI" bash -c "exec $WIREWHO capture -i $CLI_IF -w - --sample $sample $owners 'tcp port 80' \
        > >(exec python3 $TMP/slow.py $CAP_FILE $TMP/fast)" 2>"$CAP_ERR"
    CAP_PID=$BG_PID
    eventually 20 cap__began || die "wirewho does not begin to capture: $(cat "$CAP_ERR")"
    wrk__run "$CLI" 5 32 "http://$SRV4/page"
    touch "$TMP/fast"
    sleep 2
    must cli curl -s -o "$TMP/page" "http://$SRV4/small" # the last dropped packets are told of by one that is not
    cap__end
    at_least "$sample: no room on the way to the reader" "$(cap__number output_dropped)" 1
    at_least "$sample: written" "$(cap__number written)" 1000
    eventually 10 eval '[ "$(cap__packets)" = "$(cap__number written)" ]' ||
        is "$sample: packets at the reader" "$(cap__packets)" "$(cap__number written)"
    is "$sample: what the file says was dropped" "$(dropcounts)" "$(cap__number output_dropped)"
    [ $sample = copy ] || is "put back" "$(cap__number put_back)" "$(cap__number delivered)"
done
