-- One row per country and month.
select
    customers.country,
    date_trunc('month', orders.ordered_at)::date as month,
    count(*) as orders,
    count(distinct orders.customer_id) as customers,
    sum(orders.value) as value
from orders
join customers using (customer_id)
group by all
order by country, month
