#!/bin/sh
# One line a day, in turn.
file=/usr/share/daily-quote/quotes.txt
count=$(wc -l <"$file")
sed -n "$(($(date +%s) / 86400 % count + 1))p" "$file"
