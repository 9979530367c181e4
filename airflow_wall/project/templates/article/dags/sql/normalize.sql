-- One row per shop and day, with features that are known in the morning.
select
    domain,
    shop,
    day,
    visitors,
    price,
    promotion::integer as promotion,
    date_part('isodow', day) as day_of_week,
    sold
from raw
order by shop, day
