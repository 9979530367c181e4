-- One row per day and customer.
select
    cast(ordered_at as date) as day,
    customer,
    count(*) as orders,
    sum(amount) as revenue
from orders
group by all
order by day, customer
