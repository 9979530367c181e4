select *
from raw
  where day = '{{ ds }'
