<?php function a($n) { if ($n === 0) throw new LogicException("deep"); a($n - 1); } echo "before\n"; a(3);
